import { denials, type Reason } from "./denials.ts";

/** Error codes of WASI 0.2 and 0.3 for what a guest may not do, and for what is not there where it looks. */
const reasons: Readonly<Record<string, Reason>> = {
  access: { what: "denied", because: "not permitted (access)" },
  "access-denied": { what: "denied", because: "not granted (access-denied)" },
  "not-permitted": { what: "denied", because: "not permitted (not-permitted)" },
  "read-only": { what: "denied", because: "read-only (read-only)" },
  "no-entry": { what: "missing", because: "there is no such file (no-entry)" },
  "HTTP-request-denied": { what: "denied", because: "not granted (HTTP-request-denied)" },
};

type Method = (this: unknown, ...args: unknown[]) => unknown;

const watchedClasses = new WeakSet<object>();

/** The imports of a component, with what they deny told; as they are unless that is asked for. */
export function watchImports(provided: Record<string, unknown>): Record<string, unknown> {
  if (!denials.isOn) return provided;
  for (const [scope, members] of Object.entries(provided)) {
    if (typeof members !== "object" || members === null) continue;
    provided[scope] = Object.fromEntries(
      Object.entries(members).map(([name, member]) => [name, watchMember(`${scope}#${name}`, member)]),
    );
  }
  return provided;
}

/** Classes are resources: jco's glue knows them by identity, so their methods are replaced in them. */
function watchMember(name: string, member: unknown): unknown {
  if (typeof member !== "function") return member;
  const { prototype } = member as { prototype?: Record<string, unknown> };
  if (!/^class\b/.test(Function.prototype.toString.call(member)) || prototype === undefined)
    return watch(name, member as Method);
  if (watchedClasses.has(prototype)) return member;
  watchedClasses.add(prototype);
  for (const [method, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
    if (method !== "constructor" && typeof descriptor.value === "function")
      prototype[method] = watch(`${name}.${method}`, descriptor.value as Method);
  return member;
}

function watch(name: string, method: Method): Method {
  return function (...args) {
    const result = method.apply(this, args);
    if (result instanceof Promise) {
      result.then((value: unknown) => look(name, args, value)).catch(() => {}); // whoever awaits it, hears of it
      return result;
    }
    look(name, args, result);
    return result;
  };
}

function look(name: string, args: readonly unknown[], result: unknown): void {
  const { tag, val } = (result ?? {}) as { tag?: unknown; val?: unknown };
  if (tag !== "err") return;
  const code = typeof val === "object" && val !== null ? (val as { tag?: unknown }).tag : val;
  const reason = typeof code === "string" && Object.hasOwn(reasons, code) ? reasons[code] : undefined;
  if (reason === undefined) return;
  const subjects = args.filter((arg) => typeof arg === "string").map((text) => JSON.stringify(text));
  denials.tell(name, subjects.join(" "), reason);
}
