import { TandemError } from "../../src/errors.ts";
import type { LinkPlan } from "../../src/image/link/plan.ts";
import { requireProvided } from "../provided.ts";
import type { GuestThread } from "./guest-thread.ts";
import { findHostFunction } from "./host-function.ts";
import { type InstanceOptions, LinkedInstance, type LinkedParts } from "./linked-instance.ts";
import { passingOf } from "./lowered-function.ts";
import { Codecs } from "./make-codecs.ts";
import { Images, Snapshot } from "./snapshot.ts";

export interface LinkedCodeOptions {
  readonly plan: LinkPlan;
  /** Compiled, by their names in the plan. */
  readonly modules: ReadonlyMap<string, WebAssembly.Module>;
  /** Interfaces that the component imports, with versions. */
  readonly imports: readonly string[];
  /** An empty memfd of its own, for the first state of its instances' memories; without one they have no way back to it. */
  readonly memfd?: number | undefined;
}

/** Interfaces of the host by name, without versions: functions and classes, as jco's glue takes them. */
export type HostInterfaces = Readonly<Record<string, unknown>>;

/** A component by its link plan, with its core modules compiled: to be instantiated any number of times. */
export class LinkedCode {
  readonly plan: LinkPlan;
  readonly #parts: LinkedParts;
  readonly #imports: readonly string[];
  readonly #images: Images | undefined;

  constructor({ plan, modules, imports, memfd }: LinkedCodeOptions) {
    const codecs = new Codecs(plan.types);
    this.plan = plan;
    this.#imports = imports;
    this.#images = memfd === undefined ? undefined : new Images(memfd);
    this.#parts = {
      plan,
      passings: plan.lowered.map((fn) => passingOf(fn, codecs)),
      modules: plan.modules.map(({ file }) => {
        const module = modules.get(file);
        if (module === undefined) throw new TandemError("internal", `component has no core module ${file}`);
        return module;
      }),
    };
  }

  /** Its core modules. */
  get modules(): Iterable<WebAssembly.Module> {
    return this.#parts.modules;
  }

  /**
   * The component with what a grant gives to it.
   * @throws TandemError `invalid_argument` naming an interface or function that nobody implements
   */
  bind(host: HostInterfaces, thread: GuestThread): LinkedProgram {
    requireProvided(this.#imports, host);
    const functions = this.plan.lowered.map(({ interface: from, name }) => {
      const found = findHostFunction((host[from] ?? {}) as Readonly<Record<string, unknown>>, name);
      if (found === undefined)
        throw new TandemError("invalid_argument", `component imports ${from}#${name}, which nobody grants`);
      return found;
    });
    return new LinkedProgram(this.#parts, { functions, thread }, this.#images);
  }
}

/** A component and its grant. */
export class LinkedProgram {
  readonly #parts: LinkedParts;
  readonly #options: InstanceOptions;
  readonly #images: Images | undefined;

  constructor(parts: LinkedParts, options: InstanceOptions, images: Images | undefined) {
    this.#parts = parts;
    this.#options = options;
    this.#images = images;
  }

  /** @throws what a start function traps with */
  instantiate(): LinkedInstance {
    return new LinkedInstance(this.#parts, this.#options);
  }

  /** The first state of an instance that has just been made; undefined when it cannot be put back to it. */
  snapshot(instance: LinkedInstance): Snapshot | undefined {
    return this.#images === undefined ? undefined : Snapshot.take(instance, this.#parts.plan, this.#images);
  }
}
