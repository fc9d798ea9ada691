import type { OutputLeft } from "../../../src/native-wasi.ts";
import type { Grant } from "../../grant.ts";
import { usage } from "../../limits/usage.ts";
import { type Descriptors, DescriptorTable } from "./descriptor.ts";

/** What the functions of one guest share. */
export class State {
  readonly grant: Grant;
  readonly table: Descriptors;
  /** wasi_unstable, whose structs and whence differ. */
  readonly unstable: boolean;
  readonly onExit: (status: number) => never;
  readonly #memory: { current?: WebAssembly.Memory | undefined };
  readonly #output = usage.outputLeft;
  #buffer: ArrayBuffer | undefined;
  #bytes = new Uint8Array(0);

  constructor(options: StateOptions) {
    this.grant = options.grant;
    this.table = options.table ?? new DescriptorTable(options.grant);
    this.unstable = options.unstable;
    this.onExit = options.onExit;
    this.#memory = options.memory;
  }

  /** What may still be written to a descriptor of the kernel's: of stdout and stderr the grant may have a limit. */
  outputLeft(fd: number): OutputLeft {
    const { stdout, stderr } = this.grant.stdio;
    return fd === stdout || fd === stderr ? this.#output : undefined;
  }

  /** What a call that was given `left` returned, unless the guest ends because it wanted to write more. */
  written(left: OutputLeft, errno: number): number {
    if (left !== undefined) usage.checkOutput();
    return errno;
  }

  /** The guest's memory, made anew only when it has grown. Empty, so that every pointer is a fault, until there is one. */
  bytes(): Uint8Array {
    const buffer = this.#memory.current?.buffer;
    if (buffer !== undefined && buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#bytes = new Uint8Array(buffer);
    }
    return this.#bytes;
  }
}

export interface StateOptions {
  readonly grant: Grant;
  readonly unstable: boolean;
  /** Filled in once the guest is instantiated. */
  readonly memory: { current?: WebAssembly.Memory | undefined };
  /** Ends the guest: unwinds it and does not come back. */
  readonly onExit: (status: number) => never;
  /** Shared with the other ABI's functions, when a guest imports both, and with its threads. */
  readonly table?: Descriptors;
}
