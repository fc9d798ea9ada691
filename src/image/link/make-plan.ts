import { suspendingImports } from "../suspending-imports.ts";
import type { CoreThing, Func, FuncType, ResourceType, ValueType } from "./component-items.ts";
import type { CoreModule } from "./core-module.ts";
import { exposeState } from "./expose-state.ts";
import { flatten, loweredSignature, sameSignature, usesMemory } from "./flatten.ts";
import type {
  CanonicalOptions,
  CoreItem,
  FunctionType,
  LiftedFunction,
  LinkPlan,
  LoweredFunction,
  PlannedInstance,
  PlannedModule,
  PlannedResource,
  PlannedType,
  TypeRef,
} from "./plan.ts";
import { type MadeInstance, readComponent } from "./read-component.ts";
import { Unlinkable } from "./unlinkable.ts";

export interface Linkable {
  readonly plan: LinkPlan;
  /** Core modules by the names that the plan gives them. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * How a component is put together. What it exports is in the plan as far as it can be called without memory: an http handler, whose
 * parameters are handles.
 *
 * @throws Unlinkable naming what a plan cannot say; TandemError invalid_argument for bytes that end too early
 */
export function makePlan(component: Uint8Array): Linkable {
  return new PlanMaker().make(component);
}

class PlanMaker {
  readonly #files = new Map<string, Uint8Array>();
  readonly #modules: PlannedModule[] = [];
  readonly #places = new Map<CoreModule, number>();
  readonly #types: PlannedType[] = [];
  readonly #typesByText = new Map<string, number>();
  readonly #resources: PlannedResource[] = [];
  readonly #resourcePlaces = new Map<ResourceType, number>();
  readonly #lowered: LoweredFunction[] = [];
  readonly #loweredPlaces = new Map<CoreThing, number>();

  make(component: Uint8Array): Linkable {
    const { made, exports } = readComponent(component);
    const instances = made.map((instance) => this.#planInstance(instance));
    const lifted: LiftedFunction[] = [];
    for (const [interfaceName, item] of exports) {
      if (item.sort !== "instance") continue;
      for (const [name, member] of item.value.exports)
        if (member.sort === "func") lifted.push(...this.#lift(interfaceName, name, member.value, made));
    }
    const plan: LinkPlan = {
      modules: this.#modules,
      types: this.#types,
      resources: this.#resources,
      lowered: this.#lowered,
      instances,
      exports: lifted,
    };
    return { plan, files: this.#files };
  }

  #planInstance({ module, imports }: MadeInstance): PlannedInstance {
    return {
      module: this.#planModule(module),
      imports: imports.map(([from, name, thing], index) => {
        const wanted = module.imports[index]?.signature;
        return [from, name, this.#planItem(thing, wanted, `${from}.${name}`)] as const;
      }),
    };
  }

  #planModule(module: CoreModule): number {
    const known = this.#places.get(module);
    if (known !== undefined) return known;
    if (module.memory64) throw new Unlinkable("64-bit addresses");
    const place = this.#modules.length;
    const file = `core${place}.wasm`;
    const { bytes, state } = exposeState(module);
    this.#files.set(file, module.lasting === undefined ? bytes : module.bytes);
    this.#modules.push({ file, state: module.lasting === undefined ? state : { lasting: module.lasting } });
    this.#places.set(module, place);
    return place;
  }

  #planItem(thing: CoreThing, wanted: CoreModule["imports"][number]["signature"], what: string): CoreItem {
    switch (thing.kind) {
      case "export":
      case "other":
        return { export: thing.at }; // the engine compares the types of both
      case "drop":
        if (!sameSignature(wanted, { params: ["i32"], results: [] }))
          throw new Unlinkable(`${what} of another type`);
        return { drop: this.#planResource(thing.resource) };
      case "lowered": {
        if (!sameSignature(wanted, loweredSignature(thing.func.type)))
          throw new Unlinkable(`${what} of another type`);
        return { lowered: this.#planLowered(thing, thing.func, thing.options) };
      }
    }
  }

  #planLowered(thing: CoreThing, func: Func, options: CanonicalOptions): number {
    const known = this.#loweredPlaces.get(thing);
    if (known !== undefined) return known;
    if (func.kind === "lifted")
      throw new Unlinkable("a function that one part of the component provides for another");
    const { params, result } = func.type;
    const touched = [...params.map((param) => param.type), ...(result === undefined ? [] : [result])];
    const throughMemory = touched.some(usesMemory) || (result !== undefined && flatten(result).length > 1);
    if (throughMemory && options.memory === undefined) throw new Unlinkable(`${func.name} without a memory`);
    if (result !== undefined && usesMemory(result) && options.realloc === undefined)
      throw new Unlinkable(`${func.name} without a realloc`);
    const place = this.#lowered.length;
    this.#lowered.push({
      interface: withoutVersion(func.interface),
      name: func.name,
      suspends: suspendingImports.includes(`${withoutVersion(func.interface)}#${func.name}`),
      ...this.#planFunction(func.type),
      ...options,
    });
    this.#loweredPlaces.set(thing, place);
    return place;
  }

  #planFunction({ params, result }: FuncType): FunctionType {
    return {
      params: params.map((param) => this.#planType(param.type)),
      result: result === undefined ? null : this.#planType(result),
    };
  }

  #planType(type: ValueType): TypeRef {
    if (type.kind === "primitive") return type.name;
    const planned = this.#describe(type);
    const text = JSON.stringify(planned);
    const known = this.#typesByText.get(text);
    if (known !== undefined) return known;
    this.#types.push(planned);
    this.#typesByText.set(text, this.#types.length - 1);
    return this.#types.length - 1;
  }

  #describe(type: Exclude<ValueType, { kind: "primitive" }>): PlannedType {
    const optional = (inner: ValueType | undefined): TypeRef | null =>
      inner === undefined ? null : this.#planType(inner);
    switch (type.kind) {
      case "record":
        return { record: type.fields.map((field) => [field.label, this.#planType(field.type)]) };
      case "variant":
        return { variant: type.cases.map((one) => [one.label, optional(one.type)]) };
      case "list":
        return { list: this.#planType(type.element) };
      case "tuple":
        return { tuple: type.items.map((item) => this.#planType(item)) };
      case "flags":
        return { flags: type.labels };
      case "enum":
        return { enum: type.labels };
      case "option":
        return { option: this.#planType(type.some) };
      case "result":
        return { result: [optional(type.ok), optional(type.err)] };
      case "own":
        return { own: this.#planResource(type.resource) };
      case "borrow":
        return { borrow: this.#planResource(type.resource) };
    }
  }

  #planResource(resource: ResourceType): number {
    const known = this.#resourcePlaces.get(resource);
    if (known !== undefined) return known;
    this.#resources.push({ interface: withoutVersion(resource.interface), name: resource.name });
    this.#resourcePlaces.set(resource, this.#resources.length - 1);
    return this.#resources.length - 1;
  }

  #lift(interfaceName: string, name: string, func: Func, made: readonly MadeInstance[]): LiftedFunction[] {
    if (func.kind !== "lifted" || !isCallable(func.type)) return [];
    const [place, core] = func.core;
    const signature = made[place]?.module.exportedSignature(core);
    if (!sameSignature(signature, loweredSignature(func.type)))
      throw new Unlinkable(`${interfaceName}#${name} of another type`);
    const { postReturn } = func;
    const results = { params: loweredSignature(func.type).results, results: [] };
    if (postReturn !== undefined) {
      const [owner, post] = postReturn;
      if (!sameSignature(made[owner]?.module.exportedSignature(post), results))
        throw new Unlinkable(`the post-return of ${interfaceName}#${name} of another type`);
    }
    return [
      { interface: interfaceName, name, ...this.#planFunction(func.type), core: func.core, postReturn },
    ];
  }
}

function isCallable({ params, result }: FuncType): boolean {
  return (
    params.flatMap((param) => flatten(param.type)).length <= 16 &&
    !params.some((param) => usesMemory(param.type)) &&
    (result === undefined || (flatten(result).length <= 1 && !usesMemory(result)))
  );
}

function withoutVersion(name: string): string {
  return name.split("@", 1)[0] ?? name;
}
