import { fileURLToPath } from "node:url";

const inTree = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export const scriptsDirectory = inTree("scripts");
/** Programs that were compiled, under the hash of what went into them. */
export const programCache = inTree(".cache/programs");
/** Unpacked source packages of Debian's. */
export const sourceCache = inTree(".cache/source");
/** Packages of npm's that are programs, or make some, and that nothing else of this tree needs. */
export const npmCache = inTree(".cache/programs/npm");
