import { TandemError } from "../../src/errors.ts";

/** How much a wasm process says on its guest's stderr besides why it failed: the grant and the end; also what was denied. */
export const logLevels = ["off", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

/** @throws TandemError invalid_argument naming what there is */
export function readLogLevel(value: string | undefined): LogLevel {
  if (value === undefined || value === "") return "off";
  const found = logLevels.find((level) => level === value);
  if (found === undefined)
    throw new TandemError("invalid_argument", `TANDEM_LOG=${value}: is none of ${logLevels.join(", ")}`);
  return found;
}

/** What a wasm process's configuration says of a value of TANDEM_LOG. @throws TandemError as `readLogLevel` does */
export function logOf(value: string | undefined): { readonly log?: LogLevel } {
  const log = readLogLevel(value);
  return log === "off" ? {} : { log };
}
