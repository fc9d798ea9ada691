import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** The command, as it is installed. */
export const tandemPath = `${root}/dist/bin/tandem`;
