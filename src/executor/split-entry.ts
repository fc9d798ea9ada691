export interface Entry {
  readonly path: string;
  readonly export: string | undefined;
}

/**
 * `path.wasm#export`: split at the first # after .wasm, because an export's name may have one (`wasi:cli/run#run`), and so may a
 * directory's.
 */
export function splitEntry(argument: string): Entry {
  const match = /^(.+?\.wasm)#(.*)$/s.exec(argument);
  return { path: match?.[1] ?? argument, export: match?.[2] || undefined };
}
