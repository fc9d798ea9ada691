import { hash } from "node:crypto";
import { TandemError } from "../errors.ts";

/**
 * A file of code: this as JSON, padded with spaces to `ENTRY_HEAD_BYTES`, the last of which is a newline; then the code.
 */
export interface EntryHead {
  readonly format: 1;
  /** CodeEngine.id, and the build of Tandem's that is part of it. */
  readonly engine: string;
  readonly build: string;
  /** sha256 of the module, in hexadecimal. */
  readonly module: string;
  /** Length and sha256 of the code. */
  readonly size: number;
  readonly sha256: string;
  /** How many of the module's functions it has code for, and how many the module has. */
  readonly optimised: number;
  readonly functions: number;
}

export const ENTRY_HEAD_BYTES = 512;

export function encodeHead(head: EntryHead): Buffer {
  const bytes = Buffer.alloc(ENTRY_HEAD_BYTES, " ");
  const text = JSON.stringify(head);
  if (text.length >= ENTRY_HEAD_BYTES)
    throw new TandemError("internal", `code of module ${head.module}: its head is too long`);
  bytes.write(text, "latin1");
  bytes.write("\n", ENTRY_HEAD_BYTES - 1);
  return bytes;
}

/** @throws TandemError failed_precondition */
export function decodeHead(file: Uint8Array): EntryHead {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(file.subarray(0, ENTRY_HEAD_BYTES)).toString("latin1"));
  } catch {
    throw damaged("it does not begin like one");
  }
  if (!isHead(value)) throw damaged("it does not begin like one");
  return value;
}

/**
 * The code of a file of it, once it is proved to be what was written, for this module and this engine.
 * @throws TandemError failed_precondition with what is wrong
 */
export function checkedCode(file: Uint8Array, wanted: Pick<EntryHead, "engine" | "module">): Uint8Array {
  const head = decodeHead(file);
  if (head.module !== wanted.module) throw damaged(`it is of module ${head.module}`);
  if (head.engine !== wanted.engine) throw damaged(`it is of engine ${head.engine}`);
  const code = file.subarray(ENTRY_HEAD_BYTES);
  if (code.length !== head.size) throw damaged(`it has ${code.length} bytes of ${head.size}`);
  if (sha256(code) !== head.sha256) throw damaged("its sha256 is not what was written");
  return code;
}

export function sha256(bytes: Uint8Array): string {
  return hash("sha256", bytes);
}

function damaged(what: string): TandemError {
  return new TandemError("failed_precondition", what);
}

function isHead(value: unknown): value is EntryHead {
  if (typeof value !== "object" || value === null) return false;
  const { format, engine, build, module, size, sha256, optimised, functions } = value as Partial<
    Record<keyof EntryHead, unknown>
  >;
  return (
    format === 1 &&
    [engine, module, sha256].every((text) => typeof text === "string" && /^[0-9a-f]+$/.test(text)) &&
    typeof build === "string" &&
    [size, optimised, functions].every((number) => Number.isSafeInteger(number))
  );
}
