import type { CoreModule } from "./core-module.ts";
import type { CanonicalOptions, CoreExport, Primitive } from "./plan.ts";

/** What the index spaces of a component hold while it is read; each definition leads to what it was made of. */

/** A value type. */
export type ValueType =
  | { readonly kind: "primitive"; readonly name: Primitive }
  | { readonly kind: "record"; readonly fields: readonly Field[] }
  | { readonly kind: "variant"; readonly cases: readonly Case[] }
  | { readonly kind: "list"; readonly element: ValueType }
  | { readonly kind: "tuple"; readonly items: readonly ValueType[] }
  | { readonly kind: "flags" | "enum"; readonly labels: readonly string[] }
  | { readonly kind: "option"; readonly some: ValueType }
  | { readonly kind: "result"; readonly ok: ValueType | undefined; readonly err: ValueType | undefined }
  | { readonly kind: "own" | "borrow"; readonly resource: ResourceType };

export interface Field {
  readonly label: string;
  readonly type: ValueType;
}

export interface Case {
  readonly label: string;
  readonly type: ValueType | undefined;
}

/** A resource type that an imported instance brings. Two of them are one when they are the same object. */
export interface ResourceType {
  readonly kind: "resource";
  readonly interface: string;
  readonly name: string;
}

export interface FuncType {
  readonly kind: "func";
  readonly params: readonly Field[];
  readonly result: ValueType | undefined;
}

/** The declarations of an instance type, read anew for each import: each has resource types of its own. */
export interface InstanceType {
  readonly kind: "instance";
  instantiate(interfaceName: string): Instance;
}

export type TypeItem = ValueType | ResourceType | FuncType | InstanceType;

export type Func =
  | {
      readonly kind: "imported";
      readonly interface: string;
      readonly name: string;
      readonly type: FuncType;
    }
  | {
      readonly kind: "lifted";
      readonly core: CoreExport;
      readonly type: FuncType;
      readonly postReturn: CoreExport | undefined;
    };

export interface Instance {
  readonly kind: "instance";
  readonly exports: ReadonlyMap<string, Item>;
}

/** A nested component: what its imports are is known when it is instantiated. */
export interface Component {
  readonly kind: "component";
  instantiate(args: ReadonlyMap<string, Item>): Instance;
}

export type Item =
  | { readonly sort: "func"; readonly value: Func }
  | { readonly sort: "type"; readonly value: TypeItem }
  | { readonly sort: "instance"; readonly value: Instance }
  | { readonly sort: "component"; readonly value: Component }
  | { readonly sort: "module"; readonly value: CoreModule };

/** A function that a core module can import. */
export type CoreFunc =
  | { readonly kind: "export"; readonly at: CoreExport }
  | {
      readonly kind: "lowered";
      readonly func: Func;
      readonly options: CanonicalOptions;
    }
  | { readonly kind: "drop"; readonly resource: ResourceType };

export type CoreThing = CoreFunc | { readonly kind: "other"; readonly at: CoreExport };

/** A core instance: one that is instantiated, by its place, or a bag of things from elsewhere. */
export type CoreInstance =
  | { readonly kind: "instantiated"; readonly place: number; readonly module: CoreModule }
  | { readonly kind: "bag"; readonly exports: ReadonlyMap<string, CoreThing> };
