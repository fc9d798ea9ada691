import { BinaryReader } from "../binary-reader.ts";
import type {
  Component,
  CoreFunc,
  CoreInstance,
  CoreThing,
  Func,
  Instance,
  Item,
  TypeItem,
} from "./component-items.ts";
import { type CoreModule, readCoreModule } from "./core-module.ts";
import type { CanonicalOptions, CoreExport, StringEncoding } from "./plan.ts";
import { outerType, readExternName, readType, readTypeBound, type TypeScope } from "./read-types.ts";
import { Unlinkable } from "./unlinkable.ts";

/** A core instance that is made, and what each of its module's imports is. */
export interface MadeInstance {
  readonly module: CoreModule;
  readonly imports: readonly (readonly [module: string, name: string, item: CoreThing])[];
}

/** What putting a component together amounts to. */
export interface Assembly {
  readonly made: MadeInstance[];
  readonly exports: ReadonlyMap<string, Item>;
}

/**
 * Reads a component (component-model/design/mvp/Binary.md) and follows all its definitions, so that nothing is left but core
 * instances, functions of imported interfaces and exports.
 *
 * @throws Unlinkable for what is not known here: resource types of its own, imports that are no interfaces, all of 0.3;
 * TandemError invalid_argument for bytes that end too early
 */
export function readComponent(bytes: Uint8Array): Assembly {
  const made: MadeInstance[] = [];
  const scope = new ComponentScope(made, undefined, undefined);
  scope.read(new BinaryReader(bytes, 8, "component"));
  return { made, exports: scope.exports };
}

const coreSort = { func: 0x00, table: 0x01, memory: 0x02, global: 0x03, tag: 0x04, module: 0x11 } as const;
const sort = { core: 0x00, func: 0x01, type: 0x03, component: 0x04, instance: 0x05 } as const;

/** The index spaces of one component, and the reading of its sections into them. */
class ComponentScope implements TypeScope {
  readonly types: TypeItem[] = [];
  readonly parent: ComponentScope | undefined;
  readonly exports = new Map<string, Item>();
  readonly #made: MadeInstance[];
  /** What its imports are; undefined for the outermost component, whose imports are the host's. */
  readonly #args: ReadonlyMap<string, Item> | undefined;
  readonly #modules: CoreModule[] = [];
  readonly #coreInstances: CoreInstance[] = [];
  readonly #coreFuncs: CoreFunc[] = [];
  readonly #coreOthers: Record<"table" | "memory" | "global" | "tag", CoreThing[]> = {
    table: [],
    memory: [],
    global: [],
    tag: [],
  };
  readonly #funcs: Func[] = [];
  readonly #instances: Instance[] = [];
  readonly #components: Component[] = [];

  constructor(
    made: MadeInstance[],
    parent: ComponentScope | undefined,
    args: ReadonlyMap<string, Item> | undefined,
  ) {
    this.#made = made;
    this.parent = parent;
    this.#args = args;
  }

  read(reader: BinaryReader): void {
    while (!reader.atEnd()) {
      const id = reader.byte();
      this.#readSection(id, reader.slice(reader.u32()));
    }
  }

  #readSection(id: number, body: BinaryReader): void {
    switch (id) {
      case 0: // custom
        return;
      case 1:
        this.#modules.push(readCoreModule(body.rest()));
        return;
      case 2:
        body.vector(() => this.#coreInstances.push(this.#readCoreInstance(body)));
        return;
      case 4:
        this.#components.push(this.#readComponent(body));
        return;
      case 5:
        body.vector(() => this.#instances.push(this.#readInstance(body)));
        return;
      case 6:
        body.vector(() => this.#readAlias(body));
        return;
      case 7:
        body.vector(() => this.types.push(readType(body, this)));
        return;
      case 8:
        body.vector(() => this.#readCanonical(body));
        return;
      case 10:
        body.vector(() => this.#readImport(body));
        return;
      case 11:
        body.vector(() => this.#readExport(body));
        return;
      default:
        throw new Unlinkable(`section ${id}`);
    }
  }

  // --- core instances

  #readCoreInstance(body: BinaryReader): CoreInstance {
    if (body.byte() === 0x01) {
      const exports = new Map<string, CoreThing>();
      body.vector(() => exports.set(body.string(), this.#coreThing(body.byte(), body.u32())));
      return { kind: "bag", exports };
    }
    const module = at(this.#modules, body.u32(), "core module");
    const args = new Map<string, CoreInstance>();
    body.vector(() => {
      const name = body.string();
      body.byte(); // always an instance
      args.set(name, at(this.#coreInstances, body.u32(), "core instance"));
    });
    const imports = module.imports.map(({ module: from, name }): [string, string, CoreThing] => {
      const arg = args.get(from);
      if (arg === undefined) throw new Unlinkable(`a core module whose import ${from} is not given`);
      return [from, name, exportOf(arg, name)];
    });
    this.#made.push({ module, imports });
    return { kind: "instantiated", place: this.#made.length - 1, module };
  }

  #coreThing(kind: number, index: number): CoreThing {
    switch (kind) {
      case coreSort.func:
        return at(this.#coreFuncs, index, "core function");
      case coreSort.table:
        return at(this.#coreOthers.table, index, "core table");
      case coreSort.memory:
        return at(this.#coreOthers.memory, index, "core memory");
      case coreSort.global:
        return at(this.#coreOthers.global, index, "core global");
      case coreSort.tag:
        return at(this.#coreOthers.tag, index, "core tag");
      default:
        throw new Unlinkable(`the core sort 0x${kind.toString(16)}`);
    }
  }

  // --- components and their instances

  /** Read when it is instantiated: only then it is known what its imports are. */
  #readComponent(body: BinaryReader): Component {
    body.skip(8);
    const { offset } = body;
    const length = body.left;
    return {
      kind: "component",
      instantiate: (args) => {
        const scope = new ComponentScope(this.#made, this, args);
        scope.read(body.at(offset, length));
        return { kind: "instance", exports: scope.exports };
      },
    };
  }

  #readInstance(body: BinaryReader): Instance {
    if (body.byte() === 0x01) {
      const exports = new Map<string, Item>();
      body.vector(() => exports.set(readExternName(body), this.#readItem(body)));
      return { kind: "instance", exports };
    }
    const component = at(this.#components, body.u32(), "component");
    const args = new Map<string, Item>();
    body.vector(() => args.set(body.string(), this.#readItem(body)));
    return component.instantiate(args);
  }

  /** `sortidx` */
  #readItem(body: BinaryReader): Item {
    switch (body.byte()) {
      case sort.func:
        return { sort: "func", value: at(this.#funcs, body.u32(), "function") };
      case sort.type:
        return { sort: "type", value: at(this.types, body.u32(), "type") };
      case sort.instance:
        return { sort: "instance", value: at(this.#instances, body.u32(), "instance") };
      case sort.component:
        return { sort: "component", value: at(this.#components, body.u32(), "component") };
      case sort.core:
        if (body.byte() !== coreSort.module) throw new Unlinkable("an item of core sort");
        return { sort: "module", value: at(this.#modules, body.u32(), "core module") };
      default:
        throw new Unlinkable("a value");
    }
  }

  #add(item: Item): void {
    switch (item.sort) {
      case "func":
        this.#funcs.push(item.value);
        return;
      case "type":
        this.types.push(item.value);
        return;
      case "instance":
        this.#instances.push(item.value);
        return;
      case "component":
        this.#components.push(item.value);
        return;
      case "module":
        this.#modules.push(item.value);
    }
  }

  // --- aliases, imports and exports

  #readAlias(body: BinaryReader): void {
    const kind = body.byte();
    const core = kind === sort.core ? body.byte() : undefined;
    switch (body.byte()) {
      case 0x00: {
        const { exports } = at(this.#instances, body.u32(), "instance");
        this.#add(exported(exports, body.string()));
        return;
      }
      case 0x01: {
        const instance = at(this.#coreInstances, body.u32(), "core instance");
        this.#addCore(core ?? -1, exportOf(instance, body.string()));
        return;
      }
      default:
        this.#readOuterAlias(core ?? -1, kind, body);
        return;
    }
  }

  #readOuterAlias(core: number, kind: number, body: BinaryReader): void {
    const [count, index] = [body.u32(), body.u32()];
    if (kind === sort.type) {
      this.types.push(outerType(this, count, index));
      return;
    }
    let target: ComponentScope | undefined = this;
    for (let left = count; left > 0; left--) target = target?.parent;
    if (target === undefined) throw new Unlinkable("an alias of nothing");
    if (kind === sort.component) this.#components.push(at(target.#components, index, "component"));
    else if (core === coreSort.module) this.#modules.push(at(target.#modules, index, "core module"));
    else throw new Unlinkable("an outer alias of a core type");
  }

  #addCore(kind: number, thing: CoreThing): void {
    switch (kind) {
      case coreSort.func:
        if (thing.kind === "other") throw new Unlinkable("a core export of another kind");
        this.#coreFuncs.push(thing);
        return;
      case coreSort.table:
        this.#coreOthers.table.push(thing);
        return;
      case coreSort.memory:
        this.#coreOthers.memory.push(thing);
        return;
      case coreSort.global:
        this.#coreOthers.global.push(thing);
        return;
      case coreSort.tag:
        this.#coreOthers.tag.push(thing);
        return;
      default:
        throw new Unlinkable(`the core sort 0x${kind.toString(16)}`);
    }
  }

  #readImport(body: BinaryReader): void {
    const name = readExternName(body);
    const kind = body.byte();
    if (this.#args !== undefined) {
      this.#bindImport(name, kind, body);
      return;
    }
    if (kind !== 0x05) throw new Unlinkable(`the import ${name}, which is no interface`);
    const type = this.types[body.u32()];
    if (type?.kind !== "instance") throw new Unlinkable(`the import ${name} of no instance type`);
    this.#instances.push(type.instantiate(name));
  }

  /** An import of a nested component is what its instantiation says; its declared type has been checked by whoever made it. */
  #bindImport(name: string, kind: number, body: BinaryReader): void {
    if (kind === 0x03) readTypeBound(body, this);
    else if (kind === 0x00) {
      body.byte();
      body.u32();
    } else body.u32();
    this.#add(exported(this.#args ?? new Map(), name));
  }

  /** An export is a definition of its own, which later ones can refer to. */
  #readExport(body: BinaryReader): void {
    const name = readExternName(body);
    const item = this.#readItem(body);
    if (body.byte() === 0x01) skipExternType(body);
    this.exports.set(name, item);
    this.#add(item);
  }

  // --- canonical functions

  #readCanonical(body: BinaryReader): void {
    switch (body.byte()) {
      case 0x00: {
        body.byte();
        const core = at(this.#coreFuncs, body.u32(), "core function");
        const { postReturn } = this.#readOptions(body); // what is lifted here has no result but numbers (make-plan.ts)
        const type = at(this.types, body.u32(), "type");
        if (type.kind !== "func" || core.kind !== "export")
          throw new Unlinkable("a lifted function of no type");
        this.#funcs.push({ kind: "lifted", core: core.at, type, postReturn });
        return;
      }
      case 0x01: {
        body.byte();
        const func = at(this.#funcs, body.u32(), "function");
        const { postReturn: _, ...options } = this.#readOptions(body);
        this.#coreFuncs.push({ kind: "lowered", func, options });
        return;
      }
      case 0x03: {
        const resource = at(this.types, body.u32(), "type");
        if (resource.kind !== "resource") throw new Unlinkable("resource.drop of what is no resource");
        this.#coreFuncs.push({ kind: "drop", resource });
        return;
      }
      default:
        throw new Unlinkable("a canonical function for resources or tasks of its own");
    }
  }

  #readOptions(body: BinaryReader): CanonicalOptions & { readonly postReturn: CoreExport | undefined } {
    let encoding: StringEncoding = "utf8";
    let memory: CoreExport | undefined;
    let realloc: CoreExport | undefined;
    let postReturn: CoreExport | undefined;
    body.vector(() => {
      const option = body.byte();
      switch (option) {
        case 0x00:
        case 0x01:
        case 0x02:
          encoding = (["utf8", "utf16", "latin1+utf16"] as const)[option];
          return;
        case 0x03:
          memory = placeOf(at(this.#coreOthers.memory, body.u32(), "core memory"));
          return;
        case 0x04:
          realloc = placeOf(at(this.#coreFuncs, body.u32(), "core function"));
          return;
        case 0x05:
          postReturn = placeOf(at(this.#coreFuncs, body.u32(), "core function"));
          return;
        default:
          throw new Unlinkable("async functions");
      }
    });
    return { encoding, memory, realloc, postReturn };
  }
}

function at<T>(items: readonly T[], index: number, what: string): T {
  const item = items[index];
  if (item === undefined) throw new Unlinkable(`${what} ${index}, which is not there`);
  return item;
}

function exported(exports: ReadonlyMap<string, Item>, name: string): Item {
  const item = exports.get(name);
  if (item === undefined) throw new Unlinkable(`${name}, which is not there`);
  return item;
}

function exportOf(instance: CoreInstance, name: string): CoreThing {
  if (instance.kind === "bag") {
    const thing = instance.exports.get(name);
    if (thing === undefined) throw new Unlinkable(`the core export ${name}, which is not there`);
    return thing;
  }
  const found = instance.module.exports.get(name);
  if (found === undefined) throw new Unlinkable(`the core export ${name}, which is not there`);
  return { kind: found.kind === "function" ? "export" : "other", at: [instance.place, name] };
}

function placeOf(thing: CoreThing): CoreExport {
  if (thing.kind === "export" || thing.kind === "other") return thing.at;
  throw new Unlinkable("an option that is no core export");
}

/** `externtype` */
function skipExternType(body: BinaryReader): void {
  const kind = body.byte();
  if (kind === 0x00) body.byte();
  if (kind === 0x03 && body.byte() === 0x01) return; // a fresh resource has no index
  body.u32();
}
