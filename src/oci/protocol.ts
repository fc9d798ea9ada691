/**
 * The dialogue between the command line's client (native/client) and the OCI server, over a SEQPACKET socket. The client is
 * the server's hands: it clones container-init as its own child, so that whoever executed it inherits the container when it ends.
 * A message is one byte and what belongs to it, little endian. Twin of native/client/client.h.
 *
 *   client                                       OCI server
 *   ------                                       ----------
 *   call: cwd, environment, arguments      ──▶     tandem-oci; `tandem run` and `tandem serve` say
 *   run: umask, limits and the same, [0, 1, 2, activated sockets] ──▶
 *   clones                                 ◀──   spawn, [executable, socket, cgroup directory, namespaces…]
 *   spawned: pid, [pidfd] | failed: errno  ──▶
 *     (and waits at once if the message says so)
 *   writes                                 ◀──   output | error
 *   reads its stdin, or the file           ◀──   input: path or nothing
 *   input, [memfd] | input: errno          ──▶
 *   executes                               ◀──   program: path and arguments, [descriptors from 3 on]
 *   spawned: pid, [pidfd] | failed: errno  ──▶
 *   waits, forwards signals                ◀──   wait: pid, [terminal's master]
 *   exited: status                         ──▶
 *   begins a guest, passes signals on      ◀──   guest: [pidfd, go pipe]
 *   starts another household               ◀──   renew
 *   ends                                   ◀──   exit: status
 *   hears nothing for long: ping           ──▶   at any time, and answered at any time
 *                                          ◀──   pong
 *
 * A client that ends earlier was killed: what it asked for is undone.
 */
export const toServer = {
  call: 1,
  spawned: 2,
  spawnFailed: 3,
  exited: 4,
  input: 5,
  run: 6,
  ping: 7,
} as const;
export const toClient = {
  output: 1,
  error: 2,
  exit: 3,
  spawn: 4,
  wait: 5,
  input: 6,
  program: 7,
  renew: 8,
  guest: 9,
  pong: 10,
} as const;

/** What one command line was. */
export interface CallRequest {
  /** Working directory of the client; "" when it has none. */
  readonly cwd: string;
  /** Those variables of its environment that may matter (native/client/ask.c). */
  readonly env: ReadonlyMap<string, string>;
  readonly args: readonly string[];
}

/** What `tandem run` and `tandem serve` are called with besides. */
export interface RunCallRequest extends CallRequest {
  readonly umask: number;
  /** Resource limits by number (asm-generic/resource.h). */
  readonly rlimits: readonly (readonly [soft: bigint, hard: bigint])[];
  /** How many descriptors are the client's own: 0, 1 and 2, then sockets of socket activation. */
  readonly descriptors: number;
}

/** @throws RangeError when the lengths do not add up */
export function decodeCall(data: Buffer): CallRequest {
  return toCall(decodeTexts(data));
}

const RESOURCES = 16;

/** @throws RangeError when the lengths do not add up; SyntaxError for a limit that is no number */
export function decodeRun(data: Buffer): RunCallRequest {
  const [umask, descriptors, ...rest] = decodeTexts(data);
  const limits = rest.splice(0, 2 * RESOURCES).map(BigInt);
  const rlimits = Array.from(
    { length: RESOURCES },
    (_, resource) => [limits[2 * resource] ?? 0n, limits[2 * resource + 1] ?? 0n] as const,
  );
  return { ...toCall(rest), umask: Number(umask), rlimits, descriptors: Number(descriptors) };
}

function toCall([cwd = "", count = "0", ...rest]: readonly string[]): CallRequest {
  const env = new Map<string, string>();
  for (const entry of rest.slice(0, Number(count))) {
    const equals = entry.indexOf("=");
    env.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return { cwd, env, args: rest.slice(Number(count)) };
}

function decodeTexts(data: Buffer): string[] {
  const fields: string[] = [];
  for (let at = 0; at < data.length; ) {
    const length = data.readUInt32LE(at);
    const end = at + 4 + length;
    if (end > data.length) throw new RangeError(`field ${fields.length} is cut off`);
    fields.push(data.toString("utf8", at + 4, end));
    at = end;
  }
  return fields;
}

/** The fields of a "spawn" message; its descriptors go beside it in the same order. */
export interface SpawnMessage {
  /** CLONE_NEW* flags. */
  readonly newNamespaces: number;
  /** How many descriptors from 3 on the client hands on. */
  readonly preserved: number;
  /** Whether 0, 1 and 2 are the client's own. */
  readonly ownStdio: boolean;
  readonly hasCgroupDirectory: boolean;
  /** Whether the client waits for what it cloned without being told again. */
  readonly wait: boolean;
  /** What the child is born with; undefined: as the client. */
  readonly oomScoreAdj: number | undefined;
  /** CLONE_NEW* flag of each namespace to enter. */
  readonly joins: readonly number[];
  readonly cgroupFiles: readonly string[];
}

export function encodeSpawn(message: SpawnMessage): Buffer {
  const { joins, cgroupFiles } = message;
  const numbers = [
    message.newNamespaces,
    message.preserved,
    message.ownStdio ? 1 : 0,
    message.hasCgroupDirectory ? 1 : 0,
    message.wait ? 1 : 0,
    message.oomScoreAdj === undefined ? 0 : 1,
    message.oomScoreAdj ?? 0,
    joins.length,
    ...joins,
    cgroupFiles.length,
  ];
  const head = Buffer.alloc(1 + 4 * numbers.length);
  head[0] = toClient.spawn;
  for (const [index, value] of numbers.entries()) head.writeUInt32LE(value >>> 0, 1 + 4 * index);
  return Buffer.concat([head, ...cgroupFiles.map((file) => Buffer.from(`${file}\0`))]);
}

/** The "program" message: absolute path, arguments; each ends with a NUL. */
export function encodeProgram(path: string, args: readonly string[]): Buffer {
  return Buffer.concat([
    Buffer.of(toClient.program),
    ...[path, ...args].map((text) => Buffer.from(`${text}\0`)),
  ]);
}

/** The "wait" message. */
export function encodeWait(pid: number): Buffer {
  const message = Buffer.of(toClient.wait, 0, 0, 0, 0);
  message.writeUInt32LE(pid, 1);
  return message;
}
