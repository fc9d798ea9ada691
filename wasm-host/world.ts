export type World = "command" | "http" | "reactor";

/** What a component is made for. */
export interface WorldEntry {
  readonly world: World;
  /** The exported interface that makes it so, `wasi:cli/run@0.3.0`; undefined for a reactor. */
  readonly name: string | undefined;
}

/**
 * In this order: a component of WASI 0.3 made by a toolchain for 0.2 exports a `run` of 0.2 beside its own that was never meant to be
 * called.
 */
const entries: readonly (readonly [RegExp, World])[] = [
  [/^wasi:cli\/run@0\.3\./, "command"],
  [/^wasi:http\/handler@0\.3\./, "http"],
  [/^wasi:cli\/run@0\.2\./, "command"],
  [/^wasi:http\/incoming-handler@0\.2\./, "http"],
];

/** The world of a component by the names of its exports. */
export function findWorld(exports: readonly string[]): WorldEntry {
  for (const [pattern, world] of entries) {
    const name = exports.find((exported) => pattern.test(exported));
    if (name !== undefined) return { world, name };
  }
  return { world: "reactor", name: undefined };
}
