/**
 * The grant: the whole authority of one wasm guest. It is plain data, so that it can be logged, sent as JSON and compared;
 * descriptors in it are numbers that are open in the process that runs the guest, and the guest owns them.
 *
 * Denied by default, that is when the field is empty or absent:
 * - arguments and environment: none
 * - files: none; only what lies beneath a preopen can be named, and no symlink leads out of it
 * - stdio: all three descriptors are given always; nothing else of the process's descriptors is visible
 * - accepting connections: no listener, no address to bind
 * - network: no address can be reached and no name resolved, by whichever of sockets, name look-up and http
 * Always there, because a guest without them cannot even hash: clocks (the machine's, unless the grant makes them up) and random
 * numbers (the kernel's, unless the grant seeds them). Limits that are absent are the cgroup's alone, which binds the engine too.
 */
export interface Grant {
  /** argv, the program's name first. */
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly preopens: readonly Preopen[];
  readonly stdio: { readonly stdin: number; readonly stdout: number; readonly stderr: number };
  /** Listening sockets; they come after the preopens in the guest's numbering. */
  readonly listeners: readonly number[];
  readonly network?: NetworkGrant;
  /** The machine's clocks when absent. */
  readonly clocks?: MadeUpClocks;
  /** The kernel's generator when absent. */
  readonly random?: SeededRandom;
  readonly limits?: Limits;
}

/** A directory that the guest starts with. */
export interface Preopen {
  /** An O_PATH or O_DIRECTORY descriptor, possibly of a detached mount tree. */
  readonly fd: number;
  readonly guestPath: string;
  /** Refuses every change with EROFS, on top of what the mount says. */
  readonly readonly: boolean;
}

/** Where a guest may reach to and be reached from: one list for sockets, name look-up and http, each rule for all of them or for those it names. */
export interface NetworkGrant {
  /**
   * Whom it may connect and send to: `HOST`, `HOST:PORT` or `HOST:PORT-PORT`, where HOST is a name, `*.suffix`, `*`, an IPv4 address,
   * an IPv6 address in brackets, or a CIDR block. A name allows itself to be resolved, and then the addresses that it was resolved to.
   * What the rule is for may stand before it, `tcp:HOST:PORT` or `tcp+dns:HOST`; without that it is for all protocols.
   */
  readonly outbound: readonly string[];
  /** Where it may bind: `ADDRESS:PORT` or `ADDRESS:PORT-PORT`, with `*` for every address; port 0 is one that the kernel picks. `tcp:` or `udp:` may stand before it. */
  readonly inbound: readonly string[];
  /** By which of these it may do so at all, whatever the rules are for; by all when absent. */
  readonly protocols?: readonly NetworkProtocol[];
  /** What names are looked up in. Without it nobody is asked, and only addresses and `localhost` resolve. */
  readonly resolver?: ResolverFiles;
}

/**
 * The contents of files that decide which addresses a name has, and with that where the guest may go: the machine's, or those that
 * config.json mounts, as they were before the guest began. Never the image's own.
 */
export interface ResolverFiles {
  /** resolv.conf(5) */
  readonly resolvConf: string;
  /** hosts(5) */
  readonly hosts: string;
}

/** `tcp` and `udp`: wasi:sockets; `dns`: wasi:sockets/ip-name-lookup; `http`: wasi:http's outgoing requests. */
export type NetworkProtocol = "tcp" | "udp" | "dns" | "http";

/** Clocks that tell the same in every run: reading one moves time on, and waiting takes no time but moves the clocks. */
export interface MadeUpClocks {
  /** Milliseconds since 1970 that the wall clock starts with; the monotonic one starts with 0. */
  readonly startMs: number;
  /** Nanoseconds that each reading moves all clocks on. */
  readonly stepNs: number;
}

/** Random numbers that are the same in every run. */
export interface SeededRandom {
  /** 32 bytes in hexadecimal. */
  readonly seed: string;
}

/**
 * Going over one ends the guest with an exit status and a line of its own (docs/exit-codes.md); but memories and tables just do not grow
 * any more, which is for the guest to handle, and a guest that begins with more of them is not begun.
 */
export interface Limits {
  /** Of all linear memories together; of an http component those of each instance. */
  readonly memoryBytes?: number;
  /** Elements of all tables together, in the same way. */
  readonly tableElements?: number;
  /** Core module instances: a component has several, a thread is one. */
  readonly instances?: number;
  /** Processor time of the process, the compiler's included. */
  readonly cpuMs?: number;
  /** From the start of the guest. */
  readonly wallMs?: number;
  /** Descriptors that are open at once: files, directories and sockets, beside those that the grant itself gives. */
  readonly openFiles?: number;
  /** Written to stdout and stderr together. */
  readonly outputBytes?: number;
}
