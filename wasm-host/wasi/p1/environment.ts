import { guarded, viewOf } from "./little-endian.ts";
import type { State } from "./state.ts";

/** args_* and environ_*: two lists of NUL-terminated strings. */
export function environmentImports(state: State) {
  const args = stringList(state, () => state.grant.args);
  const environ = stringList(state, () => state.grant.env.map(([name, value]) => `${name}=${value}`));
  return {
    args_get: args.get,
    args_sizes_get: args.sizes,
    environ_get: environ.get,
    environ_sizes_get: environ.sizes,
  };
}

function stringList(state: State, read: () => readonly string[]) {
  let encoded: Buffer[] | undefined;
  // A NUL inside would make two strings of one.
  const strings = () => (encoded ??= read().map((text) => Buffer.from(`${text.replaceAll("\0", "")}\0`)));
  return {
    get: (pointers: number, buffer: number) =>
      guarded(() => {
        const view = viewOf(state);
        let at = buffer >>> 0;
        for (const [index, string] of strings().entries()) {
          view.setUint32((pointers >>> 0) + index * 4, at, true);
          state.bytes().set(string, at);
          at += string.length;
        }
        return 0;
      }),
    sizes: (count: number, size: number) =>
      guarded(() => {
        const view = viewOf(state);
        view.setUint32(count >>> 0, strings().length, true);
        view.setUint32(
          size >>> 0,
          strings().reduce((sum, string) => sum + string.length, 0),
          true,
        );
        return 0;
      }),
  };
}
