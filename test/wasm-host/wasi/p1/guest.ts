import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Grant } from "../../../../wasm-host/grant.ts";
import { wasiImports } from "../../../../wasm-host/wasi/p1/imports.ts";
import { rightsOf } from "../../../../wasm-host/wasi/p1/rights.ts";
import { State } from "../../../../wasm-host/wasi/p1/state.ts";

export const O_PATH = 0o10000000;
const ALL_RIGHTS = BigInt(rightsOf.inheriting);

type WasiFunction = (...args: (number | bigint)[]) => number;

export interface GuestOptions {
  readonly grant?: Partial<Grant>;
  readonly unstable?: boolean;
}

/** A guest without a module: it calls the host's functions with pointers into a memory of its own. */
export class Guest {
  readonly memory = new WebAssembly.Memory({ initial: 4 });
  readonly functions: Record<string, WasiFunction>;
  exited: number | undefined;
  #top = 1024;

  constructor({ grant = {}, unstable = false }: GuestOptions = {}) {
    const state = new State({
      grant: { ...emptyGrant, ...grant },
      unstable,
      memory: { current: this.memory },
      onExit: (status) => {
        this.exited = status;
        throw new Error("exit");
      },
    });
    this.functions = wasiImports(state) as unknown as Record<string, WasiFunction>;
  }

  call(name: string, ...args: (number | bigint)[]): number {
    const found = this.functions[name];
    if (found === undefined) throw new Error(`no function ${name}`);
    return found(...args);
  }

  get view(): DataView {
    return new DataView(this.memory.buffer);
  }

  alloc(size: number): number {
    const at = this.#top;
    this.#top += (size + 15) & ~15;
    if (this.#top > 200_000) this.#top = 1024;
    return at;
  }

  /** [pointer, length] of a string in the guest's memory. */
  text(text: string | Uint8Array): [number, number] {
    const bytes = Buffer.from(text as string);
    const at = this.alloc(bytes.length + 1);
    new Uint8Array(this.memory.buffer).set(bytes, at);
    return [at, bytes.length];
  }

  string(at: number, length: number): string {
    return Buffer.from(new Uint8Array(this.memory.buffer, at, length)).toString();
  }

  /** path_open with every right; [errno, descriptor]. */
  open(path: string, options: OpenOptions = {}): [number, number] {
    const {
      directory = 3,
      oflags = 0,
      follow = 0,
      base = ALL_RIGHTS,
      inheriting = ALL_RIGHTS,
      flags = 0,
    } = options;
    const result = this.alloc(4);
    const error = this.call(
      "path_open",
      directory,
      follow,
      ...this.text(path),
      oflags,
      base,
      inheriting,
      flags,
      result,
    );
    return [error, this.view.getUint32(result, true)];
  }

  write(fd: number, text: string): [number, number] {
    const iovec = this.alloc(8);
    const [at, length] = this.text(text);
    this.view.setUint32(iovec, at, true);
    this.view.setUint32(iovec + 4, length, true);
    const result = this.alloc(4);
    return [this.call("fd_write", fd, iovec, 1, result), this.view.getUint32(result, true)];
  }

  read(fd: number, size = 256): [number, string] {
    const iovec = this.alloc(8);
    const at = this.alloc(size);
    this.view.setUint32(iovec, at, true);
    this.view.setUint32(iovec + 4, size, true);
    const result = this.alloc(4);
    const error = this.call("fd_read", fd, iovec, 1, result);
    return [error, error === 0 ? this.string(at, this.view.getUint32(result, true)) : ""];
  }
}

export interface OpenOptions {
  readonly directory?: number;
  readonly oflags?: number;
  readonly follow?: number;
  readonly base?: bigint;
  readonly inheriting?: bigint;
  readonly flags?: number;
}

export const fileRights = { read: 2n | 4n | (1n << 21n), write: 64n } as const;

export const emptyGrant: Grant = {
  args: [],
  env: [],
  preopens: [],
  stdio: { stdin: -1, stdout: -1, stderr: -1 },
  listeners: [],
};

/** A directory that is removed, and its O_PATH descriptor closed, by `using`. */
export class Sandbox {
  readonly path = mkdtempSync(join(tmpdir(), "tandem-p1-"));

  /** A guest that has the directory `sub` of the sandbox as its root. */
  guest(
    sub = ".",
    { readonly = false, ...grant }: Partial<Grant> & { readonly readonly?: boolean } = {},
  ): Guest {
    const fd = openSync(join(this.path, sub), O_PATH);
    this.#fds.push(fd);
    return new Guest({ grant: { ...grant, preopens: [{ fd, guestPath: "/guest", readonly }] } });
  }

  #fds: number[] = [];

  [Symbol.dispose](): void {
    for (const fd of this.#fds) closeSync(fd);
    rmSync(this.path, { recursive: true, force: true });
  }
}
