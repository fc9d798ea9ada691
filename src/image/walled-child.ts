import { closeSync, readFileSync, writeSync } from "node:fs";
import { wasmFilter } from "../isolation/wasm-seccomp.ts";
import { native } from "../native.ts";
import { isAdministrator } from "../rights.ts";
import { SIGKILL } from "../signals.ts";

/** sched.h */
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWNET = 0x40000000;

/** asm-generic/resource.h; a module or component that needs more memory or time is refused. */
const RLIMIT_CPU = 0;
const RLIMIT_FSIZE = 1;
const RLIMIT_DATA = 2;
const CPU_SECONDS = 120n;
const DATA_BYTES = 3n << 30n;
const FILE_BYTES = 1 << 30;

/** Where the directory is behind the wall (native/addon/isolate.cc). */
const INSIDE = "/fs";

export interface Wall {
  /** All that it sees of the file system, to be written to. */
  readonly directory: string;
  /** Or it sees nothing, and `directory` only serves to make that of. */
  readonly empty?: boolean;
  /** Descriptors that it keeps beside stdio. */
  readonly keep?: readonly number[];
  /** Where its one line goes if it fails; stderr. */
  readonly complaints?: number;
  /** Files that it writes "0" into to be in a cgroup. */
  readonly cgroupFiles?: readonly string[];
  /** Then it is killed. */
  readonly timeoutMs?: number;
  /** Whether the mounts belong to somebody with more rights; for whom `runWalled` finds that out. */
  readonly foreignMounts?: boolean;
  /** No file of its becomes larger; a gigabyte. */
  readonly maxFileBytes?: number;
}

/**
 * Does `work` in a forked child behind the wall of a wasm process, without network. Returns the child's exit status: 0, or 1 after
 * one line of complaint, or 128 and the signal that killed it. For a process with V8's single-threaded flags and the zygote's preload;
 * who is not root needs to be allowed user namespaces.
 *
 * @param work is told where the directory is
 */
export function runWalled(wall: Wall, work: (directory: string) => void): number {
  if (isAdministrator(readFileSync("/proc/self/status", "latin1"))) return runBehindWall(wall, work);
  // Only a process with one thread may enter a user namespace: a child, whose child then is the one behind the wall.
  return inChild({ newPid: false }, () => {
    native.dieWithParent();
    native.enterUserNamespace();
    native.exitNow(runBehindWall({ ...wall, foreignMounts: true }, work));
  });
}

/** For a process with the right to make namespaces. */
function runBehindWall(wall: Wall, work: (directory: string) => void): number {
  const emptyMountNamespace = native.createEmptyMountNamespace(wall.directory);
  const filter = wasmFilter("none");
  const { timeoutMs } = wall;
  try {
    return inChild({ newPid: true, timeoutMs }, () => {
      becomeChild({ ...wall, emptyMountNamespace, filter }, work);
    });
  } finally {
    closeSync(emptyMountNamespace);
  }
}

interface ChildOptions {
  readonly newPid: boolean;
  /** Then it is killed. */
  readonly timeoutMs?: number | undefined;
}

/** Its exit status; what it does not survive is one line on stderr and 1. */
function inChild({ newPid, timeoutMs = -1 }: ChildOptions, become: () => void): number {
  const child = native.fork({ newPid });
  if (child.pid === 0) {
    try {
      become();
    } catch (error) {
      const line = error instanceof Error ? error.message : String(error);
      writeSync(2, `${line.split("\n", 1)[0]}\n`);
      native.exitNow(1);
    }
    native.exitNow(0);
  }
  if (!native.waitReadable(child.pidfd, timeoutMs)) {
    native.pidfdSendSignal(child.pidfd, SIGKILL);
    native.waitReadable(child.pidfd, -1);
  }
  const status = native.waitPidfd(child.pidfd)?.status ?? 1;
  closeSync(child.pidfd);
  return status;
}

interface BuiltWall extends Wall {
  readonly emptyMountNamespace: number;
  readonly filter: Buffer;
}

function becomeChild(wall: BuiltWall, work: (directory: string) => void): void {
  native.dieWithParent();
  native.setSession();
  if (wall.complaints !== undefined) native.replaceFd(wall.complaints, 2);
  enter(wall);
  work(INSIDE);
}

function enter(wall: BuiltWall): void {
  const { directory, foreignMounts, emptyMountNamespace, filter } = wall;
  if (foreignMounts === true) native.copyMounts();
  const fd =
    wall.empty === true
      ? native.createTmpfs(["size=4k", "mode=555"], true)
      : native.cloneMount(directory, { recursive: foreignMounts === true, readonly: false });
  const limits = [
    [RLIMIT_CPU, CPU_SECONDS],
    [RLIMIT_FSIZE, BigInt(wall.maxFileBytes ?? FILE_BYTES)],
    [RLIMIT_DATA, DATA_BYTES],
  ] as const;
  native.isolate({
    cgroupFiles: wall.cgroupFiles ?? [],
    // It is done again by whoever asks next; a pod's shim is not.
    oomScoreAdj: 1000,
    rlimits: limits.map(([resource, limit]) => [resource, limit, limit]),
    joinNamespaces: [],
    emptyMountNamespace,
    unshare: CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
    hostname: undefined,
    mounts: [{ fd, target: "/", directory: true }],
    umask: 0o022,
    // Without a capability: the owner of the directory, and of nothing else that is in sight.
    user: foreignMounts === true ? undefined : { uid: 0, gid: 0, additionalGids: [] },
    keepDescriptors: wall.keep ?? [],
    filter,
    tcpPorts: { bind: [], connect: [] },
  });
}
