import type { CoreExport, CoreItem, LinkPlan } from "../../src/image/link/plan.ts";
import { usage } from "../limits/usage.ts";
import { unwind } from "../unwind.ts";
import { GuestMemory } from "./guest-memory.ts";
import type { GuestThread } from "./guest-thread.ts";
import { dispose, HandleTable, Trap } from "./handle-table.ts";
import type { HostFunction } from "./host-function.ts";
import { bindFunction, bindSuspending, type Caller, type Passing } from "./lowered-function.ts";

/** What all instances of a component share: prepared once from its plan. */
export interface LinkedParts {
  readonly plan: LinkPlan;
  /** By their places in the plan. */
  readonly modules: readonly WebAssembly.Module[];
  /** By their places in `plan.lowered`. */
  readonly passings: readonly Passing[];
}

export interface InstanceOptions {
  /** By their places in `plan.lowered`: what this instance's grant makes of them. */
  readonly functions: readonly HostFunction[];
  readonly thread: GuestThread;
}

/** The guest had the thread for longer than it may. */
export class GuestEnded extends Error {
  override readonly name = "GuestEnded";
}

/** One instance of a component. */
export class LinkedInstance {
  readonly handles = new HandleTable();
  /** Whether the guest has called its host. */
  hasCalledOut = false;
  readonly instances: WebAssembly.Instance[] = [];
  readonly #parts: LinkedParts;
  readonly #options: InstanceOptions;
  readonly #memories = new Map<string, GuestMemory>();
  readonly #caller: Caller;
  /** Set while the guest allocates for the host, or tidies up after a call. */
  #mayNotLeave = false;
  /** Whether the host was called in a guest's turn. */
  #inside = false;
  #failure: Error | undefined;
  #onFailure: ((error: Error) => void) | undefined;
  /** Of what it does now, in milliseconds of `performance.now`. */
  #deadline = Number.POSITIVE_INFINITY;

  /** @throws what a start function traps with; WebAssembly.LinkError for a component that is not valid */
  constructor(parts: LinkedParts, options: InstanceOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#caller = this.#makeCaller();
    for (const { module, imports } of parts.plan.instances) {
      const given: WebAssembly.Imports = {};
      for (const [from, name, item] of imports) {
        given[from] ??= {};
        given[from][name] = this.#resolve(item);
      }
      usage.instantiateInComponent(this.instances.length);
      this.instances.push(this.#instantiate(parts.modules[module], given));
    }
  }

  #instantiate(module: WebAssembly.Module | undefined, imports: WebAssembly.Imports): WebAssembly.Instance {
    if (module === undefined) throw new TypeError("the plan has a module that is not there");
    try {
      return new WebAssembly.Instance(module, imports);
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  /** The core function behind an export. */
  exported([place, name]: CoreExport): WebAssembly.ExportValue {
    const found = this.instances[place]?.exports[name];
    if (found === undefined) throw new TypeError(`core instance ${place} has no export ${name}`);
    return found;
  }

  /**
   * Why the guest failed, when it was for a reason of the host's: what it then ends with is a trap that says nothing. undefined when it
   * did not.
   */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Begins something with the guest, to be done by `deadline`. `onFailure` is told when the guest fails while it waits, or is ended: then it
   * never goes on, and its call never returns.
   */
  enter(fn: () => void, deadline: number, onFailure: (error: Error) => void): void {
    this.#deadline = deadline;
    this.#onFailure = onFailure;
    if (this.#options.thread.start(fn, deadline)) this.#end();
  }

  /** To be called first when something that was begun is through: what follows is the host's. */
  left(then: () => void): void {
    this.#options.thread.enterHost();
    then();
  }

  /** Calls a post-return function, in the guest's turn: it may not call out. @throws what it traps with */
  tidyUp(postReturn: (...results: unknown[]) => unknown, results: readonly unknown[]): void {
    this.#mayNotLeave = true;
    try {
      postReturn(...results);
    } finally {
      this.#mayNotLeave = false;
    }
  }

  /** Whatever it waits for, it does not go on. Its resources are dropped. */
  abandon(): void {
    this.#failure ??= new Trap("abandoned");
    this.handles.clear();
  }

  #end(): void {
    this.#fail(new GuestEnded("computed for longer than it may"));
  }

  #fail(error: unknown): Error {
    const first = this.#failure === undefined;
    this.#failure ??= error instanceof Error ? error : new Trap(String(error));
    if (first) this.#onFailure?.(this.#failure);
    return this.#failure;
  }

  #resolve(item: CoreItem): WebAssembly.ImportValue {
    if ("export" in item) return this.exported(item.export);
    if ("drop" in item) return this.#bindDrop(item.drop);
    return this.#bind(item.lowered);
  }

  #bindDrop(type: number): (index: number) => void {
    return (index) => {
      const inside = this.#caller.enterHost();
      try {
        dispose(this.handles.remove(type, index >>> 0));
      } catch (error) {
        this.#caller.fail(error);
      } finally {
        this.#caller.leaveHost(inside);
      }
    };
  }

  #bind(index: number): WebAssembly.ImportValue {
    const passing = this.#parts.passings[index];
    const host = this.#options.functions[index];
    if (passing === undefined || host === undefined) throw new TypeError(`no function ${index}`);
    const binding = { passing, host, memory: this.#memoryOf(index), caller: this.#caller };
    if (this.#parts.plan.lowered[index]?.suspends !== true) return bindFunction(binding);
    return new WebAssembly.Suspending(bindSuspending(binding)) as unknown as WebAssembly.ImportValue;
  }

  #memoryOf(index: number): GuestMemory {
    const { memory, realloc, encoding } = this.#parts.plan.lowered[index] ?? {
      memory: undefined,
      realloc: undefined,
      encoding: "utf8",
    };
    const key = JSON.stringify([memory, realloc, encoding]);
    let found = this.#memories.get(key);
    if (found === undefined) {
      found = new GuestMemory({
        memory: memory === undefined ? undefined : (this.exported(memory) as WebAssembly.Memory),
        realloc: realloc === undefined ? undefined : this.#guard(this.exported(realloc) as Realloc),
        encoding,
        handles: this.handles,
      });
      this.#memories.set(key, found);
    }
    return found;
  }

  /** An allocation may not call out: the host is in the middle of an answer. It is the guest's all the same, and has its time. */
  #guard(realloc: Realloc): Realloc {
    return (old, oldSize, align, size) => {
      this.#mayNotLeave = true;
      if (this.#inside) this.#options.thread.leaveHost();
      try {
        return realloc(old, oldSize, align, size);
      } finally {
        if (this.#inside) this.#options.thread.enterHost();
        this.#mayNotLeave = false;
      }
    };
  }

  #makeCaller(): Caller {
    const { thread } = this.#options;
    return {
      enterHost: () => {
        const inside = thread.enterHost();
        this.#inside = inside;
        this.hasCalledOut = true;
        if (!this.#mayNotLeave) return inside;
        this.#fail(new Trap("cannot leave component instance"));
        return unwind();
      },
      leaveHost: (inside) => {
        this.#inside = false;
        if (inside) thread.leaveHost();
      },
      fail: (error) => {
        this.#fail(error);
        return unwind();
      },
      suspend: (result, finish) => this.#suspend(result, finish),
    };
  }

  /** Resolves when the guest is to go on, in its own turn. */
  #suspend<T>(result: Promise<unknown>, finish: (value: unknown) => T): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    const goOn = (value: unknown): void => {
      if (this.#failure !== undefined) return;
      const inside = this.#caller.enterHost();
      let finished: T;
      try {
        finished = finish(value);
      } catch (error) {
        this.#fail(error);
        return;
      } finally {
        this.#caller.leaveHost(inside);
      }
      resolve(finished);
    };
    const resume = (value: unknown): void =>
      this.#options.thread.resume({
        deadline: this.#deadline,
        run: () => goOn(value),
        onEnded: () => this.#end(),
      });
    result.then(resume, (error: unknown) => this.#fail(error));
    return promise;
  }
}

type Realloc = (old: number, oldSize: number, align: number, size: number) => number;
