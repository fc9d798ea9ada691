/**
 * How a component is put together, with everything that its binary says about it resolved: which core modules are instantiated in
 * which order, and what each of their imports is. JSON, made once for each component (make-plan.ts) and carried out for each instance
 * (wasm-host/linked).
 */
export interface LinkPlan {
  readonly modules: readonly PlannedModule[];
  /** Value types, each before those that are made of it. */
  readonly types: readonly PlannedType[];
  readonly resources: readonly PlannedResource[];
  /** Functions of imported interfaces, as core functions. */
  readonly lowered: readonly LoweredFunction[];
  /** Core instances, in the order in which they are made. */
  readonly instances: readonly PlannedInstance[];
  readonly exports: readonly LiftedFunction[];
}

export interface PlannedModule {
  /** Name of the file that it is in. */
  readonly file: string;
  readonly state: ModuleState | { readonly lasting: string };
}

/**
 * What of an instance of a module changes while it runs, by the names of its exports: an instance whose memories and globals are as
 * they were is as good as new. `lasting` instead says what else changes that cannot be undone from outside.
 */
export interface ModuleState {
  readonly memories: readonly string[];
  readonly globals: readonly string[];
}

/** An imported resource type: `interface` is without its version, `wasi:io/streams`. */
export interface PlannedResource {
  readonly interface: string;
  readonly name: string;
}

export type Primitive =
  | "bool"
  | "s8"
  | "u8"
  | "s16"
  | "u16"
  | "s32"
  | "u32"
  | "s64"
  | "u64"
  | "f32"
  | "f64"
  | "char"
  | "string";

/** A place in `types`, or a primitive. */
export type TypeRef = number | Primitive;

type Labelled<T> = readonly (readonly [label: string, type: T])[];

export type PlannedType =
  | { readonly record: Labelled<TypeRef> }
  | { readonly variant: Labelled<TypeRef | null> }
  | { readonly list: TypeRef }
  | { readonly tuple: readonly TypeRef[] }
  | { readonly flags: readonly string[] }
  | { readonly enum: readonly string[] }
  | { readonly option: TypeRef }
  | { readonly result: readonly [ok: TypeRef | null, err: TypeRef | null] }
  /** A place in `resources`. */
  | { readonly own: number }
  | { readonly borrow: number };

export type StringEncoding = "utf8" | "utf16" | "latin1+utf16";

/** Where strings and lists are: exports of core instances. */
export interface CanonicalOptions {
  readonly encoding: StringEncoding;
  readonly memory: CoreExport | undefined;
  readonly realloc: CoreExport | undefined;
}

export interface FunctionType {
  readonly params: readonly TypeRef[];
  readonly result: TypeRef | null;
}

export interface LoweredFunction extends FunctionType, CanonicalOptions {
  /** Without its version. */
  readonly interface: string;
  /** As the binary has it: `[method]fields.append`. */
  readonly name: string;
  /** Whether it may have the guest wait. */
  readonly suspends: boolean;
}

export interface LiftedFunction extends FunctionType {
  /** With its version. */
  readonly interface: string;
  readonly name: string;
  readonly core: CoreExport;
  /** Called with what `core` has returned once nobody needs that any more. */
  readonly postReturn: CoreExport | undefined;
}

/** An export of the core instance with this place in `instances`. */
export type CoreExport = readonly [instance: number, name: string];

/** What a core module imports. */
export type CoreItem =
  | { readonly export: CoreExport }
  /** A place in `lowered`. */
  | { readonly lowered: number }
  /** canon resource.drop, of a place in `resources`. */
  | { readonly drop: number };

export interface PlannedInstance {
  /** A place in `modules`. */
  readonly module: number;
  readonly imports: readonly (readonly [module: string, name: string, item: CoreItem])[];
}
