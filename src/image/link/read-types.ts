import type { BinaryReader } from "../binary-reader.ts";
import type {
  Field,
  FuncType,
  Instance,
  InstanceType,
  Item,
  TypeItem,
  ValueType,
} from "./component-items.ts";
import type { Primitive } from "./plan.ts";
import { Unlinkable } from "./unlinkable.ts";

/** Where a type's indexes lead to: the enclosing component or instance type. */
export interface TypeScope {
  readonly types: TypeItem[];
  readonly parent: TypeScope | undefined;
}

const primitives: Readonly<Record<number, Primitive>> = {
  127: "bool",
  126: "s8",
  125: "u8",
  124: "s16",
  123: "u16",
  122: "s32",
  121: "u32",
  120: "s64",
  119: "u64",
  118: "f32",
  117: "f64",
  116: "char",
  115: "string",
};

/** `type` of Binary.md: the next one of a type section or of a declaration. @throws Unlinkable */
export function readType(reader: BinaryReader, scope: TypeScope): TypeItem {
  const opcode = reader.byte();
  switch (opcode) {
    case 0x40:
      return readFuncType(reader, scope);
    case 0x42:
      return readInstanceType(reader, scope);
    case 0x41:
    case 0x43:
    case 0x3f:
      throw new Unlinkable(`a type of its own (0x${opcode.toString(16)})`);
    default:
      return readDefinedType(opcode, reader, scope);
  }
}

function readDefinedType(opcode: number, reader: BinaryReader, scope: TypeScope): ValueType {
  const primitive = primitives[opcode];
  if (primitive !== undefined) return { kind: "primitive", name: primitive };
  const value = (): ValueType => readValueType(reader, scope);
  const optional = (): ValueType | undefined => (reader.byte() === 0 ? undefined : value());
  switch (opcode) {
    case 0x72:
      return { kind: "record", fields: reader.vector(() => readField(reader, scope)) };
    case 0x71:
      return {
        kind: "variant",
        cases: reader.vector(() => {
          const label = reader.string();
          const type = optional();
          reader.byte(); // reserved
          return { label, type };
        }),
      };
    case 0x70:
      return { kind: "list", element: value() };
    case 0x6f:
      return { kind: "tuple", items: reader.vector(value) };
    case 0x6e:
      return { kind: "flags", labels: reader.vector(() => reader.string()) };
    case 0x6d:
      return { kind: "enum", labels: reader.vector(() => reader.string()) };
    case 0x6b:
      return { kind: "option", some: value() };
    case 0x6a:
      return { kind: "result", ok: optional(), err: optional() };
    case 0x69:
    case 0x68: {
      const resource = scope.types[reader.u32()];
      if (resource?.kind !== "resource") throw new Unlinkable("a handle of what is no resource");
      return { kind: opcode === 0x69 ? "own" : "borrow", resource };
    }
    default:
      throw new Unlinkable(`the type 0x${opcode.toString(16)}`);
  }
}

function readValueType(reader: BinaryReader, scope: TypeScope): ValueType {
  const index = reader.s33();
  if (index < 0) {
    const primitive = primitives[index + 0x80];
    if (primitive === undefined) throw new Unlinkable(`the type 0x${(index + 0x80).toString(16)}`);
    return { kind: "primitive", name: primitive };
  }
  const type = scope.types[index];
  if (type === undefined || type.kind === "resource" || type.kind === "func" || type.kind === "instance")
    throw new Unlinkable(`type ${index}, which is none of a value`);
  return type;
}

function readField(reader: BinaryReader, scope: TypeScope): Field {
  return { label: reader.string(), type: readValueType(reader, scope) };
}

function readFuncType(reader: BinaryReader, scope: TypeScope): FuncType {
  const params = reader.vector(() => readField(reader, scope));
  if (reader.byte() === 0) return { kind: "func", params, result: readValueType(reader, scope) };
  reader.byte();
  return { kind: "func", params, result: undefined };
}

/** The declarations are read through once to know their end, and again for each import. */
function readInstanceType(reader: BinaryReader, parent: TypeScope): InstanceType {
  const start = reader.offset;
  readDeclarations(reader, parent, "");
  const length = reader.offset - start;
  return {
    kind: "instance",
    instantiate: (interfaceName) => readDeclarations(reader.at(start, length), parent, interfaceName),
  };
}

function readDeclarations(reader: BinaryReader, parent: TypeScope, interfaceName: string): Instance {
  const scope: TypeScope = { types: [], parent };
  const exports = new Map<string, Item>();
  reader.vector(() => {
    switch (reader.byte()) {
      case 0x01:
        scope.types.push(readType(reader, scope));
        return;
      case 0x02:
        scope.types.push(readOuterType(reader, scope));
        return;
      case 0x04: {
        const name = readExternName(reader);
        exports.set(name, readExport(reader, scope, { interface: interfaceName, name }));
        return;
      }
      default:
        throw new Unlinkable("a declaration of a core type");
    }
  });
  return { kind: "instance", exports };
}

/** `alias` of a declaration: only types, only of enclosing scopes. */
function readOuterType(reader: BinaryReader, scope: TypeScope): TypeItem {
  if (reader.byte() !== 0x03 || reader.byte() !== 0x02) throw new Unlinkable("an alias of no outer type");
  return outerType(scope, reader.u32(), reader.u32());
}

export function outerType(scope: TypeScope, count: number, index: number): TypeItem {
  let target: TypeScope | undefined = scope;
  for (let left = count; left > 0; left--) target = target?.parent;
  const type = target?.types[index];
  if (type === undefined) throw new Unlinkable(`the outer type ${index}`);
  return type;
}

function readExport(
  reader: BinaryReader,
  scope: TypeScope,
  at: { readonly interface: string; readonly name: string },
): Item {
  switch (reader.byte()) {
    case 0x01: {
      const type = scope.types[reader.u32()];
      if (type?.kind !== "func") throw new Unlinkable(`${at.name}, a function of no type`);
      return { sort: "func", value: { kind: "imported", ...at, type } };
    }
    case 0x03: {
      const bound = readTypeBound(reader, scope);
      const type: TypeItem = bound ?? { kind: "resource", ...at };
      scope.types.push(type);
      return { sort: "type", value: type };
    }
    default:
      throw new Unlinkable(`${at.name}, neither a function nor a type`);
  }
}

/** `typebound`: the type that it equals; undefined for a fresh resource. */
export function readTypeBound(reader: BinaryReader, scope: TypeScope): TypeItem | undefined {
  return reader.byte() === 0 ? outerType(scope, 0, reader.u32()) : undefined;
}

/** `nameattributes` */
export function readExternName(reader: BinaryReader): string {
  const tag = reader.byte();
  const name = reader.string();
  if (tag === 0x02) throw new Unlinkable(`attributes of ${name}`);
  return name;
}
