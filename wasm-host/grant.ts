/**
 * The grant: the whole authority of one wasm guest. It is plain data, so that it can be logged, sent as JSON and compared;
 * descriptors in it are numbers that are open in the process that runs the guest, and the guest owns them.
 *
 * Denied by default, that is when the field is empty or absent:
 * - arguments and environment: none
 * - files: none; only what lies beneath a preopen can be named, and no symlink leads out of it
 * - stdio: all three descriptors are given always; nothing else of the process's descriptors is visible
 * - accepting connections: no listener
 * - network: no sockets, no outbound hosts
 * Limits are no part of it: memory and CPU time are the cgroup's, which binds the engine too.
 * Always there, because a guest without them cannot even hash: the clocks of the machine and the kernel's random numbers.
 */
export interface Grant {
  /** argv, the program's name first. */
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly preopens: readonly Preopen[];
  readonly stdio: { readonly stdin: number; readonly stdout: number; readonly stderr: number };
  /** Listening sockets; they come after the preopens in the guest's numbering. */
  readonly listeners: readonly number[];
  readonly clocks?: "real";
  readonly random?: "system";
  readonly network?: NetworkGrant;
}

/** A directory that the guest starts with. */
export interface Preopen {
  /** An O_PATH or O_DIRECTORY descriptor, possibly of a detached mount tree. */
  readonly fd: number;
  readonly guestPath: string;
  /** Refuses every change with EROFS, on top of what the mount says. */
  readonly readonly: boolean;
}

export interface NetworkGrant {
  readonly sockets: boolean;
  /** "host", "host:port", "*.suffix" or "*". */
  readonly outboundHosts: readonly string[];
}
