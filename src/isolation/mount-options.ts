import { lookUp } from "./look-up.ts";

/** How one mount of config.json is to be made: flags of mount(2) for a new file system, attributes for a bind. */
export interface ParsedOptions {
  readonly bind: boolean;
  readonly recursive: boolean;
  /** MS_* for mount(2), without propagation, bind and rec. */
  readonly flags: number;
  /** MOUNT_ATTR_*; `clear` only what an option takes back by name. */
  readonly attributes: MountAttributes;
  /** What no option of the table is: data for the file system. */
  readonly data: readonly string[];
  readonly idmap: "none" | "mount" | "recursive";
  readonly copyUp: boolean;
}

/** The attribute fields of the steps `mount`, `bind` and `attributes`. */
export interface MountAttributes {
  readonly set: bigint;
  readonly clear: bigint;
  readonly recursiveSet: bigint;
  readonly recursiveClear: bigint;
  /** MS_SHARED and so on, with MS_REC when recursive; 0 leaves it. */
  readonly propagation: number;
}

export const MS_RDONLY = 1;
export const MS_REC = 0x4000;
export const MS_REMOUNT = 0x20;

export const ATTR_RDONLY = 1n;
const ATTR_ATIME_MASK = 0x70n;
/** rdonly, nosuid, nodev, noexec, nosymfollow: those that are bits, and not about access times. */
export const PLAIN_ATTRIBUTES = 0x20000fn;

export const noAttributes: MountAttributes = {
  set: 0n,
  clear: 0n,
  recursiveSet: 0n,
  recursiveClear: 0n,
  propagation: 0,
};

interface Attribute {
  readonly flag: number;
  readonly attribute: bigint;
  /** The option takes the attribute back. */
  readonly off?: true;
}

/** Options that are both a flag of mount(2) and an attribute of mount_setattr(2); each has a recursive twin `r<name>`. */
const attributeOptions: Readonly<Record<string, Attribute>> = {
  ro: { flag: MS_RDONLY, attribute: ATTR_RDONLY },
  rw: { flag: MS_RDONLY, attribute: ATTR_RDONLY, off: true },
  nosuid: { flag: 2, attribute: 2n },
  suid: { flag: 2, attribute: 2n, off: true },
  nodev: { flag: 4, attribute: 4n },
  dev: { flag: 4, attribute: 4n, off: true },
  noexec: { flag: 8, attribute: 8n },
  exec: { flag: 8, attribute: 8n, off: true },
  noatime: { flag: 0x400, attribute: 0x10n },
  atime: { flag: 0x400, attribute: 0x10n, off: true },
  nodiratime: { flag: 0x800, attribute: 0x80n },
  diratime: { flag: 0x800, attribute: 0x80n, off: true },
  relatime: { flag: 0x200000, attribute: 0n },
  norelatime: { flag: 0x200000, attribute: 0n, off: true },
  strictatime: { flag: 0x1000000, attribute: 0x20n },
  nostrictatime: { flag: 0x1000000, attribute: 0x20n, off: true },
  nosymfollow: { flag: 0x100, attribute: 0x200000n },
  symfollow: { flag: 0x100, attribute: 0x200000n, off: true },
};

const accessTimes = new Set(["noatime", "atime", "relatime", "norelatime", "strictatime", "nostrictatime"]);

/** Options of the file system's superblock: flags of mount(2) only. */
const flagOptions: Readonly<Record<string, { readonly flag: number; readonly off?: true }>> = {
  defaults: { flag: 0 },
  sync: { flag: 0x10 },
  async: { flag: 0x10, off: true },
  remount: { flag: MS_REMOUNT },
  mand: { flag: 0x40 },
  nomand: { flag: 0x40, off: true },
  dirsync: { flag: 0x80 },
  silent: { flag: 0x8000 },
  loud: { flag: 0x8000, off: true },
  iversion: { flag: 0x800000 },
  noiversion: { flag: 0x800000, off: true },
  lazytime: { flag: 0x2000000 },
  nolazytime: { flag: 0x2000000, off: true },
};

/** What fsconfig(2) takes as a flag by name, of what mount(2) takes as a bit. */
export function superblockOptions(flags: number): string[] {
  const names = ["sync", "dirsync", "lazytime", "mand"].filter(
    (name) => (flags & (flagOptions[name]?.flag ?? 0)) !== 0,
  );
  return (flags & MS_RDONLY) === 0 ? names : ["ro", ...names];
}

/** The rest of those bits, for mount_setattr(2). */
export function mountFlagsAsAttributes(flags: number): { readonly set: bigint; readonly clear: bigint } {
  const change = new AttributeChange();
  for (const [name, attribute] of Object.entries(attributeOptions)) {
    if (attribute.off !== true && (flags & attribute.flag) !== 0) change.add(name, attribute);
  }
  return { set: change.set, clear: change.clear };
}

/** MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED; also the values of `linux.rootfsPropagation`. */
export const propagationFlags: Readonly<Record<string, number>> = {
  unbindable: 0x20000,
  private: 0x40000,
  slave: 0x80000,
  shared: 0x100000,
  runbindable: 0x20000 | MS_REC,
  rprivate: 0x40000 | MS_REC,
  rslave: 0x80000 | MS_REC,
  rshared: 0x100000 | MS_REC,
};

/** Every option that is not left to the file system, for `features`. */
export const knownMountOptions: readonly string[] = [
  ...Object.keys(attributeOptions).flatMap((name) => [name, `r${name}`]),
  ...Object.keys(flagOptions),
  ...Object.keys(propagationFlags),
  ...["bind", "rbind", "idmap", "ridmap", "tmpcopyup"],
].sort();

/** The table "Linux mount options" of the runtime spec's config.md. Later options win. */
export function parseOptions(options: readonly string[]): ParsedOptions {
  const own = new AttributeChange();
  const beneath = new AttributeChange();
  const data: string[] = [];
  let flags = 0;
  let propagation = 0;
  let bind = false;
  let recursive = false;
  let idmap: ParsedOptions["idmap"] = "none";
  let copyUp = false;
  for (const option of options) {
    const attribute = lookUp(attributeOptions, option);
    const attributeBeneath = option.startsWith("r") ? lookUp(attributeOptions, option.slice(1)) : undefined;
    const flag = lookUp(flagOptions, option);
    const kind = lookUp(propagationFlags, option);
    if (attribute !== undefined) {
      own.add(option, attribute);
      flags = attribute.off === true ? flags & ~attribute.flag : flags | attribute.flag;
    } else if (flag !== undefined) {
      flags = flag.off === true ? flags & ~flag.flag : flags | flag.flag;
    } else if (kind !== undefined) {
      propagation = kind;
    } else if (attributeBeneath !== undefined) {
      beneath.add(option.slice(1), attributeBeneath);
    } else if (option === "bind" || option === "rbind") {
      bind = true;
      recursive = option === "rbind";
    } else if (option === "idmap") idmap = "mount";
    else if (option === "ridmap") idmap = "recursive";
    else if (option === "tmpcopyup") copyUp = true;
    else data.push(option);
  }
  const attributes = {
    set: own.set,
    clear: own.clear,
    recursiveSet: beneath.set,
    recursiveClear: beneath.clear,
    propagation,
  };
  return { bind, recursive, flags, attributes, data, idmap, copyUp };
}

/** Collects attr_set and attr_clr of mount_setattr(2). */
class AttributeChange {
  set = 0n;
  clear = 0n;

  add(name: string, { attribute, off }: Attribute): void {
    if (accessTimes.has(name)) {
      // One field with three values, not bits: whatever is set, the whole field is cleared with it.
      this.set &= ~ATTR_ATIME_MASK;
      this.clear |= ATTR_ATIME_MASK;
      if (off !== true) this.set |= attribute;
      return;
    }
    this.set = off === true ? this.set & ~attribute : this.set | attribute;
    this.clear = off === true ? this.clear | attribute : this.clear & ~attribute;
  }
}
