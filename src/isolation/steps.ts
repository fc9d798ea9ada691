/**
 * The steps that container-init can perform, with the fields of each in the order in which they are encoded. Twin of
 * native/init/steps.h and of the functions in native/init/stages.h: a number or an order changed here is changed there.
 */
const attributes = {
  set: "u64",
  clear: "u64",
  recursiveSet: "u64",
  recursiveClear: "u64",
  propagation: "u32",
} as const;

export const stepTable = {
  becomeRoot: { code: 1, fields: {} },
  newTime: { code: 2, fields: { offsets: "text" } },
  joinTime: { code: 3, fields: { fd: "u32" } },
  unshare: { code: 4, fields: { flags: "u32" } },
  session: { code: 5, fields: {} },
  keyring: { code: 6, fields: {} },
  propagation: { code: 7, fields: { flags: "u32" } },
  rootfs: { code: 8, fields: { path: "text", parentPrivate: "flag", isolate: "flag" } },
  mount: {
    code: 9,
    fields: {
      type: "text",
      source: "text",
      target: "text",
      flags: "u32",
      data: "text",
      copyUp: "flag",
      fd: "u32",
      ...attributes,
    },
  },
  bind: {
    code: 10,
    fields: { source: "text", fd: "u32", target: "text", recursive: "flag", implied: "u64", ...attributes },
  },
  symlink: { code: 11, fields: { content: "text", path: "text" } },
  mknod: {
    code: 12,
    fields: { path: "text", mode: "u32", major: "u32", minor: "u32", uid: "u32", gid: "u32", bind: "flag" },
  },
  sysctl: { code: 13, fields: { path: "text", value: "text" } },
  hostname: { code: 14, fields: { name: "text" } },
  domainname: { code: 15, fields: { name: "text" } },
  loopback: { code: 16, fields: {} },
  runtimeHooks: { code: 17, fields: {} },
  hook: { code: 18, fields: { path: "text", args: "list", env: "list", timeoutMs: "u32", state: "text" } },
  root: { code: 19, fields: { path: "text", how: "u32" } },
  attributes: { code: 20, fields: { path: "text", optional: "flag", own: "flag", ...attributes } },
  mask: { code: 21, fields: { path: "text" } },
  console: { code: 22, fields: { height: "u32", width: "u32", uid: "u32", bind: "flag", relayed: "flag" } },
  rlimit: { code: 23, fields: { resource: "u32", soft: "u64", hard: "u64" } },
  personality: { code: 24, fields: { persona: "u32" } },
  scheduler: {
    code: 25,
    fields: {
      policy: "u32",
      flags: "u64",
      nice: "u32",
      priority: "u32",
      runtime: "u64",
      deadline: "u64",
      period: "u64",
    },
  },
  ioPriority: { code: 26, fields: { value: "u32" } },
  affinity: { code: 27, fields: { mask: "bytes" } },
  umask: { code: 28, fields: { mask: "u32" } },
  label: { code: 29, fields: { file: "text", value: "text" } },
  stdioOwner: { code: 30, fields: { uid: "u32" } },
  bounding: { code: 31, fields: { keep: "u64" } },
  user: { code: 32, fields: { uid: "u32", gid: "u32", groups: "bytes", mayBeDenied: "flag" } },
  capabilities: {
    code: 33,
    fields: { effective: "u64", permitted: "u64", inheritable: "u64", ambient: "u64" },
  },
  noNewPrivileges: { code: 34, fields: {} },
  seccomp: { code: 35, fields: { flags: "u32", filter: "bytes" } },
  cwd: { code: 36, fields: { path: "text", ahead: "flag", make: "flag" } },
  lookup: { code: 37, fields: { file: "text", env: "list" } },
  created: { code: 38, fields: { starter: "u32" } },
  exec: { code: 39, fields: { args: "list", env: "list" } },
  memoryPolicy: { code: 40, fields: { mode: "u32", nodes: "bytes" } },
  enterRoot: { code: 41, fields: { fd: "u32" } },
  unmount: { code: 42, fields: { path: "text" } },
  slave: { code: 43, fields: { path: "text" } },
} as const satisfies Record<string, { code: number; fields: Readonly<Record<string, FieldKind>> }>;

export type FieldKind = "u32" | "u64" | "flag" | "text" | "list" | "bytes";

interface FieldTypes {
  readonly u32: number;
  readonly u64: bigint;
  readonly flag: boolean;
  readonly text: string;
  readonly list: readonly string[];
  readonly bytes: Uint8Array;
}

type Table = typeof stepTable;
export type Op = keyof Table;

/** One step: what to do, for the sake of which property of config.json, with what. */
export type StepOf<K extends Op> = { readonly op: K; readonly property: string } & {
  readonly [F in keyof Table[K]["fields"]]: Table[K]["fields"][F] extends FieldKind
    ? FieldTypes[Table[K]["fields"][F]]
    : never;
};

export type Step = { [K in Op]: StepOf<K> }[Op];

/** `bind.fd` when the source is a path, `created.starter` when whoever creates also starts. */
export const NO_FD = 0xffff_ffff;

/** `created.starter` when the program starts as soon as it can. */
export const AT_ONCE = 0xffff_fffe;

/** `root.how`: pivot_root(2), a moved mount instead of it, or chroot(2) where others are in the mount namespace. */
export const rootChange = { pivot: 0, move: 1, chroot: 2 } as const;
