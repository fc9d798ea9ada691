import { isRanFunctions, type RanFunctions } from "./ran-functions.ts";

/**
 * What the zygote is asked to have compiled, as JSON in a "code" request (src/zygote/request.ts). Descriptors that come with it: a pipe
 * that is closed when the modules have been read and their files are no longer in use; then the modules' files.
 */
export interface CompileRequest {
  /** Directory of a transpiled component, whose core modules are meant as well. */
  readonly component?: string;
  /** All functions, also of modules that are too large for that otherwise. */
  readonly whole?: true;
  /** From a guest's process: only modules that are too large to be optimised in whole need it. */
  readonly ran?: RanFunctions;
}

/** @throws SyntaxError, RangeError for what is no request */
export function parseCompileRequest(text: string): CompileRequest {
  const value = JSON.parse(text) as Partial<Record<keyof CompileRequest, unknown>>;
  const { component, whole, ran } = value;
  if (component !== undefined && typeof component !== "string") throw new RangeError("component: no path");
  if (ran !== undefined && !isRanFunctions(ran)) throw new RangeError("ran: not of modules");
  return {
    ...(component === undefined ? {} : { component }),
    ...(whole === true ? { whole } : {}),
    ...(ran === undefined ? {} : { ran }),
  };
}
