/**
 * One thing that can be said about a pod's grant: by its operator in the TOML of the runtime's options, and by the pod in an
 * annotation. The table of them is what docs/grant.md shows.
 */
export interface Setting<T> {
  /** What a grant has when nobody says anything, in words. */
  readonly initial: string;
  /** The option of `tandem run` or `tandem serve` for the same. */
  readonly option: string;
  /** @param what names the place, for errors. @throws TandemError invalid_argument */
  read(what: string, text: string): T;
  /** Whether a pod needs the operator's word to have more than the usual; if not, there is nothing to be allowed. */
  readonly guarded: boolean;
  /** Whether a pod may have it, given what the operator allows and has as default. */
  permits(wanted: T, allowed: readonly T[]): boolean;
  /**
   * What a pod has that says nothing, where `most` is allowed and there is no default; undefined: what everybody has. Only of settings
   * whose absence is more than `most` may be.
   */
  ceiling?(most: T): T | undefined;
}

/** Less is narrower. Without a word of the operator's, `usual` is the most; or anything, where there is no limit. */
export const limit = (
  option: string,
  read: (what: string, text: string) => number,
  usual?: number,
): Setting<number> => ({
  initial: usual === undefined ? "none" : String(usual),
  option,
  read,
  guarded: true,
  permits: (wanted, allowed) => {
    const most = allowed.length === 0 ? usual : Math.max(...allowed);
    return most === undefined || wanted <= most;
  },
  ceiling: (most) => (usual !== undefined && usual <= most ? undefined : most),
});

/** Takes nothing from anybody: a pod may say what it likes. */
export const free = <T>(
  option: string,
  initial: string,
  read: (what: string, text: string) => T,
): Setting<T> => ({ option, initial, read, guarded: false, permits: () => true });
