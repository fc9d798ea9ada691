/** One part of a grant that a guest has a use for, and the options of `tandem run` that give it. */
export interface Need {
  readonly part: string;
  readonly options: string;
}

/** By the beginning of an import's name: `wasi:filesystem/types`, `wasi_snapshot_preview1.path_open`. */
const uses: readonly (readonly [RegExp, Need])[] = [
  [
    /^(wasi:filesystem\/|wasi_(snapshot_preview1|unstable)\.(path_|fd_prestat|fd_readdir))/,
    { part: "preopens", options: "--dir" },
  ],
  [
    /^(wasi:cli\/environment|wasi_(snapshot_preview1|unstable)\.environ_)/,
    { part: "env", options: "--env, -S inherit-env" },
  ],
  [
    /^wasi_(snapshot_preview1|unstable)\.sock_accept/,
    { part: "listeners", options: "--listen, -S listenfd" },
  ],
  [
    /^wasi:sockets\/(tcp|udp|types)/,
    { part: "network: sockets", options: "--allow, --bind, -S inherit-network" },
  ],
  [
    /^wasi:sockets\/ip-name-lookup/,
    { part: "network: look-ups", options: "--allow, -S allow-ip-name-lookup" },
  ],
  [/^wasi:http\/(outgoing-handler|client)/, { part: "network: requests", options: "--allow, -S http" }],
];

/** What a guest with these imports could use. It may run without: whether it does, only its author knows. */
export function needsOf(imports: readonly string[]): Need[] {
  return uses.filter(([pattern]) => imports.some((name) => pattern.test(name))).map(([, need]) => need);
}
