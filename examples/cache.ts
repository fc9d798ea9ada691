import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where built modules, components and binaries are kept between runs. */
export const defaultCacheDir = fileURLToPath(new URL("../.cache/examples", import.meta.url));

/** What a product is made of. The same recipe always gives the same product. */
export interface Recipe {
  /** File name of the product, with its extension. */
  readonly name: string;
  /** Source texts, tool versions and flags. */
  readonly inputs: readonly (string | Uint8Array)[];
  make(): Promise<Uint8Array>;
}

/** The product of a recipe, made only when it is not in the cache. Safe when several processes build at once. */
export async function cached(recipe: Recipe, cacheDir = defaultCacheDir): Promise<Uint8Array> {
  return await readFile(await cachedPath(recipe, cacheDir));
}

/** Where the product of a recipe is, once it is there. */
export async function cachedPath(recipe: Recipe, cacheDir = defaultCacheDir): Promise<string> {
  const path = join(cacheDir, `${keyOf(recipe)}-${recipe.name}`);
  if (existsSync(path)) return path;
  const bytes = await recipe.make();
  const temporary = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(temporary, bytes);
  await rename(temporary, path); // whole or not at all, whoever else is building
  return path;
}

function keyOf(recipe: Recipe): string {
  const hash = createHash("sha256");
  for (const input of recipe.inputs) hash.update(`${input.length}:`).update(input);
  return hash.digest("hex").slice(0, 24);
}
