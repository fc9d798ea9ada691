import { toCamelCase, toPascalCase } from "./names.ts";

/** A function of the host, with the resource that it is a method of as the first argument. */
export type HostFunction = (args: readonly unknown[]) => unknown;

type Callable = (...args: readonly unknown[]) => unknown;
type Members = Readonly<Record<string, unknown>>;

/**
 * The function of an interface that a component knows by a name such as `[method]fields.append`: the interface is an object with
 * functions and classes, as jco's glue takes it. undefined when there is none.
 */
export function findHostFunction(members: Members, name: string): HostFunction | undefined {
  const [, kind, resource = "", member = ""] = /^(?:\[([a-z]+)\])?([^.]+)(?:\.(.+))?$/.exec(name) ?? [];
  switch (kind) {
    case undefined: {
      const found = members[toCamelCase(resource)];
      return typeof found === "function" ? (args) => (found as Callable)(...args) : undefined;
    }
    case "constructor": {
      const Class = classOf(members, resource);
      return Class === undefined ? undefined : (args) => new Class(...args);
    }
    case "method": {
      const key = toCamelCase(member);
      const found: unknown = classOf(members, resource)?.prototype[key];
      return typeof found === "function" ? callMethod(found as Callable) : undefined;
    }
    case "static": {
      const Class = classOf(members, resource);
      const found: unknown = Reflect.get(Class ?? {}, toCamelCase(member));
      return typeof found === "function" ? (args) => Reflect.apply(found, Class, args) : undefined;
    }
    default:
      return undefined;
  }
}

/** Most have one argument or two. */
function callMethod(method: Callable): HostFunction {
  return (args) => {
    switch (args.length) {
      case 1:
        return method.call(args[0]);
      case 2:
        return method.call(args[0], args[1]);
      case 3:
        return method.call(args[0], args[1], args[2]);
      default:
        return method.call(args[0], ...args.slice(1));
    }
  };
}

interface ResourceClass {
  new (...args: readonly unknown[]): object;
  readonly prototype: Readonly<Record<string, unknown>>;
}

function classOf(members: Members, resource: string): ResourceClass | undefined {
  const found = members[toPascalCase(resource)];
  return typeof found === "function" ? (found as unknown as ResourceClass) : undefined;
}
