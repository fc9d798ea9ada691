import { closeSync, readFileSync } from "node:fs";

/**
 * What is asked of the zygote: one SEQPACKET message, descriptors by SCM_RIGHTS, one message in reply.
 *
 *     launcher ── "shim" + 11 fields, [listening socket] ──▶ zygote ── fork ─▶ shim
 *     shim ────── "wasm" + config JSON, [stdio, pipes] ────▶ zygote ── fork ─▶ wasm process
 *     shim ────── "resolver" + address, [listening socket] ▶ zygote ── fork ─▶ resolver
 *     shim ────── "code" + request JSON, [pipe, modules] ──▶ zygote ── fork ─▶ compiler
 *     client ──── "oci", [listening socket] ───────────────▶ zygote ── fork ─▶ OCI server
 *              ◀── 0 + decimal pid, [pidfd] | 1 + reason ───
 *
 * Fields: u32 count, then for each u32 length and bytes, little endian. A request that does not fit into a message has its
 * fields in a memfd, the last descriptor, and "@" behind its kind. The C side is native/launcher/zygote.c.
 */
export type RequestKind = "shim" | "wasm" | "resolver" | "code" | "oci";

/** The fields of a "shim" request, in the order in which the launcher sends them. */
const shimFields = [
  "namespace",
  "id",
  "address",
  "ttrpcAddress",
  "publishBinary",
  "bundle",
  "socketPath",
  "group",
  "debug",
  "schedCore",
] as const;

/** How a shim was started: flags, environment and stdin of `start` (shim-protocol §1.2–1.4). */
export type ShimParameters = Readonly<Record<(typeof shimFields)[number], string>> & {
  /** Runtime options (an Any) or BootstrapParams, as containerd wrote them. */
  readonly stdin: Buffer;
};

export function encodeFields(fields: readonly (string | Uint8Array)[]): Buffer {
  const parts = fields.map((field) => (typeof field === "string" ? Buffer.from(field) : field));
  const total = parts.reduce((sum, part) => sum + 4 + part.length, 4);
  const message = Buffer.allocUnsafe(total);
  let offset = message.writeUInt32LE(parts.length, 0);
  for (const part of parts) {
    offset = message.writeUInt32LE(part.length, offset);
    message.set(part, offset);
    offset += part.length;
  }
  return message;
}

/** @throws RangeError for a message whose lengths do not add up. */
export function decodeFields(message: Buffer): Buffer[] {
  const count = message.readUInt32LE(0);
  const fields: Buffer[] = [];
  let offset = 4;
  for (let index = 0; index < count; index++) {
    const length = message.readUInt32LE(offset);
    offset += 4;
    if (offset + length > message.length)
      throw new RangeError(`field ${index} of ${length} bytes is cut off`);
    fields.push(message.subarray(offset, offset + length));
    offset += length;
  }
  return fields;
}

/** The fields of a request, wherever they are, and the descriptors that are really the caller's. */
export function openRequest(
  data: Buffer,
  fds: readonly number[],
): { fields: Buffer[]; fds: readonly number[] } {
  const fields = decodeFields(data);
  const kind = fields[0]?.toString() ?? "";
  const memfd = fds.at(-1);
  if (!kind.endsWith("@") || memfd === undefined) return { fields, fds };
  const whole = decodeFields(readFileSync(`/proc/self/fd/${memfd}`));
  closeSync(memfd);
  return { fields: [Buffer.from(kind.slice(0, -1)), ...whole.slice(1)], fds: fds.slice(0, -1) };
}

/** @throws RangeError when fields are missing. */
export function toShimParameters(fields: readonly Buffer[]): ShimParameters {
  const values: Record<string, string> = {};
  for (const [index, name] of shimFields.entries()) {
    const field = fields[index + 1];
    if (field === undefined) throw new RangeError(`field ${name} is missing`);
    values[name] = field.toString();
  }
  return { ...values, stdin: fields[shimFields.length + 1] ?? Buffer.alloc(0) } as ShimParameters;
}

export function encodeReply(reply: { readonly pid: number } | { readonly error: string }): Buffer {
  return "pid" in reply ? Buffer.from(`\0${reply.pid}`) : Buffer.from(`\x01${reply.error}`);
}
