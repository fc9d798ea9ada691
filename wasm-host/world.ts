export type World = "command" | "http" | "reactor";

/** What a component is made for. */
export interface WorldEntry {
  readonly world: World;
  /** The exported interface that makes it so, `wasi:cli/run@0.3.0`; undefined for a reactor. */
  readonly name: string | undefined;
}

/**
 * In this order. What is to be served comes before `run`: a toolchain for commands exports that of a `main` which was never meant to be
 * called, in a service of the same version of WASI and, one for 0.2, in whatever is of 0.3.
 */
const entries: readonly (readonly [RegExp, World])[] = [
  [/^wasi:http\/handler@0\.3\./, "http"],
  [/^wasi:cli\/run@0\.3\./, "command"],
  [/^wasi:http\/incoming-handler@0\.2\./, "http"],
  [/^wasi:cli\/run@0\.2\./, "command"],
];

/** The world of a component by the names of its exports. */
export function findWorld(exports: readonly string[]): WorldEntry {
  for (const [pattern, world] of entries) {
    const name = exports.find((exported) => pattern.test(exported));
    if (name !== undefined) return { world, name };
  }
  return { world: "reactor", name: undefined };
}
