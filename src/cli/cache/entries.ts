import { join } from "node:path";
import { CodeStore } from "../../code/code-store.ts";
import { directories } from "../../directories.ts";
import type { CompileCache } from "../../image/compile-cache.ts";
import { ModuleStore } from "../../image/module-store.ts";
import { componentCache } from "../../image/transpile.ts";

/** Something that is kept. */
export interface Entry {
  readonly kind: "module" | "component" | "code";
  /** A module's digest, that of the module that the code is of, or a component's key (transpile.ts). */
  readonly name: string;
  readonly bytes: number;
  /** undefined where uses are not counted. */
  readonly uses?: number;
  readonly usedAt: Date;
  /** Of code: how many of the module's functions are optimised, and the build that can use it. */
  readonly optimised?: number;
  readonly functions?: number;
  readonly build?: string;
  /** @throws TandemError when it is not as it was written */
  verify(): void;
  remove(): void;
}

/** Everything that is kept, the least recently used first. */
export function listEntries(): Entry[] {
  const code = codeStore();
  const modules = moduleStore();
  const cache = components();
  const entries: Entry[] = [
    ...modules.list().map(
      ({ digest, ...rest }): Entry => ({
        kind: "module",
        name: digest,
        ...rest,
        verify: () => modules.verify(digest),
        remove: () => modules.drop(digest),
      }),
    ),
    ...cache.list().map(
      ({ key, ...rest }): Entry => ({
        kind: "component",
        name: key,
        ...rest,
        verify: () => cache.verify(key),
        remove: () => cache.remove(key),
      }),
    ),
    ...code.list().map((entry): Entry => {
      const { bytes, uses, usedAt } = entry;
      const { optimised, functions, build } = code.describe(entry) ?? {};
      return {
        kind: "code",
        name: `sha256:${entry.module}`,
        ...{ bytes, uses, usedAt },
        ...(optimised === undefined ? {} : { optimised }),
        ...(functions === undefined ? {} : { functions }),
        ...(build === undefined ? {} : { build }),
        verify: () => void code.verify(entry),
        remove: () => code.remove(entry),
      };
    }),
  ];
  return entries.sort((a, b) => a.usedAt.getTime() - b.usedAt.getTime());
}

export function codeStore(): CodeStore {
  return new CodeStore({ directory: join(directories.state, "code") });
}

function moduleStore(): ModuleStore {
  return new ModuleStore({ stateDir: directories.state });
}

export function components(): CompileCache {
  return componentCache({ stateDir: directories.state });
}

export function stores(): readonly { clear(): void }[] {
  return [codeStore(), moduleStore(), components()];
}

/** Of so many bytes, for people. */
export function sizeText(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 10_000_000 ? `${Math.round(bytes / 1000)} kB` : `${Math.round(bytes / 1_000_000)} MB`;
}
