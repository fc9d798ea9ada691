/**
 * WASI 0.3 among the interfaces of a component. Every release of 0.3 is the same to us, as every one of 0.2 is; of its
 * release candidates only the last has the release's types (github.com/WebAssembly/WASI, tags v0.3.0-rc-*), so the earlier ones
 * are foreign interfaces.
 */
const wasi03 = /^wasi:[^@]*@0\.3\.(\d+|0-rc-2026-03-15)$/;

/** Whether this is an interface of WASI 0.3, such as `wasi:cli/run@0.3.0`. */
export function isWasi03(name: string): boolean {
  return wasi03.test(name);
}

/** The name by which the glue asks for an import of WASI 0.3: `wasi:cli/stdin@0.3`. One of 0.2 has no version there. */
export function wasi03Key(name: string): string {
  return `${name.slice(0, name.indexOf("@"))}@0.3`;
}
