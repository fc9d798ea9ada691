import { closeSync, fstatSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { digestOf } from "../image/digest-of.ts";
import { native } from "../native.ts";
import type { ModuleScan } from "../native-surface.ts";
import type { CodeEngine } from "./code-engine.ts";
import { checkedCode, ENTRY_HEAD_BYTES, sha256 } from "./code-entry.ts";
import type { CodeReport } from "./code-report.ts";
import type { CodeStore } from "./code-store.ts";
import {
  FIRST_RUN_BYTES,
  FIRST_RUN_MODULE_BYTES,
  MAX_CODE_BYTES,
  MAX_MODULE_BYTES,
  WHOLE_MODULE_BYTES,
} from "./policy.ts";
import { encodeFunctions, type RanFunctions } from "./ran-functions.ts";

/**
 * The code of a guest's modules. Files of it are opened while the host can be seen, and read, checked and used behind the wall: they
 * are what a compiler made that the module may have taken over, and must not be run anywhere but where the module itself is.
 */
export class GuestCode {
  readonly #engine: CodeEngine;
  readonly #store: CodeStore;
  readonly #found = new Map<string, number>();
  /** Modules whose calls are worth knowing. */
  readonly #watched = new Map<string, { readonly module: WebAssembly.Module; readonly scan: ModuleScan }>();
  #wanted: CodeReport["wanted"] = "no";
  #damaged: string | undefined;

  constructor(engine: CodeEngine, store: CodeStore) {
    this.#engine = engine;
    this.#store = store;
  }

  /**
   * sha256 of a module's file, in hexadecimal; undefined for one that is too large to have code.
   *
   * @param known sha256:… if it is known already
   */
  digestOf(fd: number, known?: string): string | undefined {
    if (fstatSync(fd).size > MAX_MODULE_BYTES) return undefined;
    return (known ?? digestOf(fd)).replace(/^sha256:/, "");
  }

  /** Opens the code of a module (its sha256, in hexadecimal), if there is some. The descriptor has to outlive the isolation. */
  find(module: string): void {
    const fd = this.#store.open(this.#engine.id, module);
    if (fd !== undefined) this.#found.set(module, fd);
  }

  get fds(): readonly number[] {
    return [...this.#found.values()];
  }

  /**
   * Compiles a module, with its code if there is some.
   *
   * @param module what `find` was told
   * @param options hashed: the caller has just made sure that this is the bytes' own sha256
   * @throws WebAssembly.CompileError
   */
  compile(bytes: Uint8Array, module: string, { hashed } = { hashed: false }): WebAssembly.Module {
    const fd = this.#found.get(module);
    this.#found.delete(module);
    return (
      (fd === undefined ? undefined : this.#load(bytes, { module, hashed }, fd)) ??
      this.#compileFirst(bytes, module)
    );
  }

  /** Once everything is compiled. Closes what nobody asked for. */
  report(): CodeReport {
    for (const fd of this.#found.values()) closeSync(fd);
    this.#found.clear();
    return {
      wanted: this.#wanted,
      ...(this.#damaged === undefined ? {} : { damaged: this.#damaged }),
    };
  }

  /** At the guest's end: what its modules have called that are to be optimised "afterwards". */
  ran(): RanFunctions {
    const ran: Record<string, string> = {};
    for (const [digest, { module, scan }] of this.#watched) {
      const functions = this.#engine.functionsThatRan(module, scan);
      if (functions !== undefined) ran[digest] = encodeFunctions(functions, scan.functions);
    }
    return ran;
  }

  /** undefined when it is not what it should be. Owns the descriptor. */
  #load(
    bytes: Uint8Array,
    { module, hashed }: { readonly module: string; readonly hashed: boolean },
    fd: number,
  ): WebAssembly.Module | undefined {
    try {
      // By the bytes that will run, not by what somebody said of their file: it may have changed.
      const own = hashed ? module : sha256(bytes);
      if (own !== module) throw new TandemError("failed_precondition", `it is for other bytes than ${own}`);
      if (fstatSync(fd).size > MAX_CODE_BYTES + ENTRY_HEAD_BYTES)
        throw new TandemError("failed_precondition", "it is too large");
      const file = native.mapFile(fd);
      try {
        const code = checkedCode(new Uint8Array(file), { engine: this.#engine.id, module });
        return this.#engine.load(bytes, code);
      } finally {
        native.unmapFile(file);
      }
    } catch (error) {
      this.#damaged = `code of module ${module}: ${TandemError.from(error).message}`;
      return undefined;
    } finally {
      closeSync(fd);
    }
  }

  #compileFirst(bytes: Uint8Array, module: string): WebAssembly.Module {
    const scan = bytes.length > MAX_MODULE_BYTES ? undefined : native.scanModule(bytes, 0);
    if (scan === undefined || scan.functions === 0) return new WebAssembly.Module(bytes);
    if (scan.codeBytes <= WHOLE_MODULE_BYTES) this.#wanted = "now";
    else if (this.#wanted === "no") this.#wanted = "afterwards";
    const compiled = this.#engine.compile(bytes, scan, this.#choose(bytes, scan));
    if (scan.codeBytes > WHOLE_MODULE_BYTES) this.#watched.set(module, { module: compiled, scan });
    return compiled;
  }

  /** At least one function, or V8 would say nothing of the module when it is asked what ran. */
  #choose(bytes: Uint8Array, { codeBytes }: ModuleScan): Iterable<number> {
    if (codeBytes > FIRST_RUN_MODULE_BYTES) return [0];
    const chosen = native.scanModule(bytes, FIRST_RUN_BYTES)?.chosen ?? [];
    return chosen.length === 0 && codeBytes > WHOLE_MODULE_BYTES ? [0] : chosen;
  }
}
