import { createHash } from "node:crypto";
import { whileOptimising } from "../engine.ts";
import { TandemError } from "../errors.ts";
import { loadNativeCode, type NativeCode } from "../native-code.ts";
import { type EntryHead, sha256 } from "./code-entry.ts";
import { CodeFormat, type FunctionCounts, parseStates } from "./format.ts";

/**
 * V8's optimising compiler for WebAssembly, and its code as bytes. Made once by the zygote; its children have the same V8 flags, and
 * so the same code is good for all of them.
 */
export class CodeEngine {
  /** Names what code depends on besides the module: this build, V8's version and flags, the processor. 32 hexadecimal digits. */
  readonly id: string;
  readonly build: string;
  readonly #addon: NativeCode;
  /** How code looks that is kept, and that which is asked for while V8 is set to optimise: its flags are part of it. */
  readonly #kept: CodeFormat;
  readonly #asked: CodeFormat;

  /**
   * @param build names what is installed
   * @throws TandemError unavailable when there is no addon for this Node, failed_precondition when its V8 writes another form
   */
  constructor(build: string) {
    const addon = loadNativeCode();
    this.#addon = addon;
    this.build = build;
    const learn = (): CodeFormat =>
      CodeFormat.learn((bytes) => addon.serialize(new WebAssembly.Module(bytes)));
    this.#asked = whileOptimising(learn);
    this.#kept = CodeFormat.learn((bytes) =>
      addon.serialize(whileOptimising(() => new WebAssembly.Module(bytes))),
    );
    this.id = createHash("sha256")
      .update(`${build}\n${process.version}\n${process.versions.v8}\n${process.arch}\n`)
      .update(this.#kept.key)
      .digest("hex")
      .slice(0, 32);
  }

  /**
   * A module of which these functions are optimised now and the others compiled when they are called.
   *
   * @param functions indices of own functions, without the imports
   * @throws WebAssembly.CompileError for bytes that are no valid module
   */
  compile(bytes: Uint8Array, counts: FunctionCounts, functions: Iterable<number>): WebAssembly.Module {
    // V8 would take what comes with code for valid. The constructor says better than `validate` what is wrong.
    if (!WebAssembly.validate(bytes)) return new WebAssembly.Module(bytes);
    const module = whileOptimising(() =>
      this.#addon.deserialize(bytes, this.#asked.request(counts, functions)),
    );
    return module ?? new WebAssembly.Module(bytes);
  }

  /** The code that a module has; empty when it has none. */
  save(module: WebAssembly.Module): Uint8Array {
    return new Uint8Array(this.#addon.serialize(module));
  }

  /** What a file of it says, for all of the module's functions or for so many. */
  headOf(module: string, code: Uint8Array, counts: Pick<EntryHead, "optimised" | "functions">): EntryHead {
    const { id: engine, build } = this;
    return { format: 1, engine, build, module, size: code.length, sha256: sha256(code), ...counts };
  }

  /** Whether the bytes begin like code of this engine's. */
  isOwn(code: Uint8Array): boolean {
    return this.#kept.isOwn(code);
  }

  /**
   * A module with code from `save`, for bytes that were valid when it was made.
   * @throws TandemError failed_precondition for another engine's
   */
  load(bytes: Uint8Array, code: Uint8Array): WebAssembly.Module {
    // What V8 refuses, it would compile on another thread.
    const module = this.isOwn(code) ? this.#addon.deserialize(bytes, code) : undefined;
    if (module === undefined) throw new TandemError("failed_precondition", "code of another V8");
    return module;
  }

  /**
   * Functions that have been called, as indices without the imports, but for some of a few bytes, of which V8 takes no note; undefined when
   * it tells nothing of this module.
   */
  functionsThatRan(module: WebAssembly.Module, counts: FunctionCounts): number[] | undefined {
    const code = Buffer.from(this.#addon.serialize(module));
    if (code.length === 0) return undefined;
    return parseStates(code, counts).flatMap((state, index) => (state === "unused" ? [] : [index]));
  }
}
