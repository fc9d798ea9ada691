import { type FieldKind, type Step, stepTable } from "./steps.ts";

/**
 * Turns a plan into the bytes that container-init reads: per step u32 op, u32 length of the rest, property, fields;
 * little-endian, strings as u32 length, bytes, NUL.
 */
export function encodePlan(steps: readonly Step[]): Buffer {
  const writer = new Writer();
  for (const step of steps) {
    const { code, fields } = stepTable[step.op];
    writer.u32(code);
    const lengthAt = writer.length;
    writer.u32(0);
    writer.text(step.property);
    const values = step as unknown as Readonly<Record<string, unknown>>;
    for (const [name, kind] of Object.entries(fields)) writer.field(kind, values[name]);
    writer.patch(lengthAt, writer.length - lengthAt - 4);
  }
  return writer.finish();
}

class Writer {
  #buffer = Buffer.allocUnsafe(16_384);
  length = 0;

  field(kind: FieldKind, value: unknown): void {
    switch (kind) {
      case "u32":
        return this.u32(value as number);
      case "u64":
        return this.u64(value as bigint);
      case "flag":
        return this.u32(value === true ? 1 : 0);
      case "text":
        return this.text(value as string);
      case "list":
        return this.list(value as readonly string[]);
      case "bytes":
        return this.bytes(value as Uint8Array);
    }
  }

  u32(value: number): void {
    this.#reserve(4);
    this.length = this.#buffer.writeUInt32LE(value >>> 0, this.length);
  }

  u64(value: bigint): void {
    this.#reserve(8);
    this.length = this.#buffer.writeBigUInt64LE(value, this.length);
  }

  text(value: string): void {
    // Three bytes a UTF-16 unit are the most that UTF-8 takes.
    this.#reserve(value.length * 3 + 5);
    const size = this.#buffer.write(value, this.length + 4, "utf8");
    this.#buffer.writeUInt32LE(size, this.length);
    this.length += 4 + size;
    this.#buffer[this.length++] = 0;
  }

  list(values: readonly string[]): void {
    this.u32(values.length);
    for (const value of values) this.text(value);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length + 4);
    this.u32(value.length);
    this.#buffer.set(value, this.length);
    this.length += value.length;
  }

  patch(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  #reserve(size: number): void {
    if (this.length + size <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe((this.length + size) * 2);
    larger.set(this.#buffer.subarray(0, this.length));
    this.#buffer = larger;
  }
}
