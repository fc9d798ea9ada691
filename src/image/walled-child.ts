import { writeSync } from "node:fs";
import { wasmFilter } from "../isolation/wasm-seccomp.ts";
import { native } from "../native.ts";

/** sched.h */
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWNET = 0x40000000;

/** asm-generic/resource.h; a component that needs more memory or time is refused. */
const RLIMIT_CPU = 0;
const RLIMIT_FSIZE = 1;
const RLIMIT_DATA = 2;
const limits = [
  [RLIMIT_CPU, 120n],
  [RLIMIT_FSIZE, 1n << 30n],
  [RLIMIT_DATA, 3n << 30n],
] as const;

/** Where `directory` is behind the wall (native/addon/isolate.cc). */
const INSIDE = "/fs";

/**
 * Does `work` in a forked child behind the wall of a wasm process, with this directory as all of its file system and no network.
 * Returns the child's exit status: 0, or 1 after one line on stderr. For a process with V8's single-threaded flags, the zygote's preload
 * and root's rights.
 */
export function runWalled(directory: string, work: (directory: string) => void): number {
  const emptyMountNamespace = native.createEmptyMountNamespace(directory);
  const filter = wasmFilter("none");
  const child = native.fork({ newPid: true });
  if (child.pid === 0) return becomeChild({ directory, emptyMountNamespace, filter }, work);
  native.waitReadable(child.pidfd, -1);
  return native.waitPidfd(child.pidfd)?.status ?? 1;
}

interface Wall {
  readonly directory: string;
  readonly emptyMountNamespace: number;
  readonly filter: Buffer;
}

function becomeChild(wall: Wall, work: (directory: string) => void): never {
  try {
    native.dieWithParent();
    native.setSession();
    enter(wall);
    work(INSIDE);
  } catch (error) {
    const line = error instanceof Error ? error.message : String(error);
    writeSync(2, `${line.split("\n", 1)[0]}\n`);
    native.exitNow(1);
  }
  return native.exitNow(0);
}

function enter({ directory, emptyMountNamespace, filter }: Wall): void {
  native.isolate({
    cgroupFiles: [],
    // It is done again by whoever asks next; a pod's shim is not.
    oomScoreAdj: 1000,
    rlimits: limits.map(([resource, limit]) => [resource, limit, limit]),
    joinNamespaces: [],
    emptyMountNamespace,
    unshare: CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
    hostname: undefined,
    mounts: [
      {
        fd: native.cloneMount(directory, { recursive: false, readonly: false }),
        target: "/",
        directory: true,
      },
    ],
    umask: 0o022,
    // Root without a capability: the owner of the directory, and of nothing else that is in sight.
    user: { uid: 0, gid: 0, additionalGids: [] },
    keepDescriptors: [],
    filter,
  });
}
