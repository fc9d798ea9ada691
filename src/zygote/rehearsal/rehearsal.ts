import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { connect, Server, type ServiceClient } from "ttrpc-ts";
import type { WasmConfig } from "../../../wasm-host/config.ts";
import { isolateOptions, type WasmHost } from "../../../wasm-host/isolation.ts";
import { becomeWasmProcess } from "../../../wasm-host/main.ts";
import { prepareWorkload } from "../../../wasm-host/workload.ts";
import { Events } from "../../api/gen/containerd/services/events/ttrpc/v1/events_pb.ts";
import { Task } from "../../api/gen/containerd/task/v2/task_pb.ts";
import type { CodeEngine } from "../../code/code-engine.ts";
import type { GuestCode } from "../../code/guest-code.ts";
import { native } from "../../native.ts";
import { type ShimHost, serveShim } from "../../shim/shim.ts";
import { SIGKILL } from "../../signals.ts";
import { settleHeaps } from "../heaps.ts";
import { type SpareKinds, Spares } from "../spares.ts";
import { listenerSource, serveRequests } from "../zygote.ts";
import { RehearsalCode } from "./code.ts";
import { playLookup } from "./lookup.ts";
import { Stage } from "./stage.ts";

/** Enough for V8 to have compiled what a shim runs; more makes the start of a zygote longer and a shim no faster. */
const ROUNDS = 12;

export interface RehearsalParts {
  readonly shim: ShimHost;
  readonly wasm: WasmHost;
  readonly engine: CodeEngine | undefined;
}

/**
 * Plays whole pods in the zygote itself, before the first fork: a real Linux and a real wasm container through the real service
 * over real sockets, with a containerd of our own at the other end of the events. Every child then finds the code compiled, the
 * shapes of objects known and the memory touched.
 *
 * The Linux program is container-init itself, which does nothing when nobody hands it a plan.
 */
export async function rehearse(parts: RehearsalParts, directory: string): Promise<SpareKinds> {
  const { shim, engine } = parts;
  const stage = new Stage(directory);
  const code = engine === undefined ? undefined : new RehearsalCode(engine, stage.stores);
  const wasm = { ...parts.wasm, code };
  const understudy = startUnderstudy(wasm, stage.zygote);
  const host = { ...shim, zygote: { ...shim.zygote, socket: stage.zygote } };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await playPod(stage, startShim(host, stage));
      // V8 would find the module of the round before.
      globalThis.gc?.();
      playGuest(wasm, stage, round % 2 === 0 ? code?.forFirstGuest() : code?.forGuest());
      await playLookup(stage.resolver);
    }
    await settleHeaps();
    return new Map([
      ["shim", { newPid: false, pages: await pagesOfShim(host, stage) }],
      ["wasm", { newPid: true, pages: pagesOfGuest(wasm, stage) }],
    ]);
  } finally {
    understudy.end();
    stage.clear();
    shim.log.redirect(undefined, false);
  }
}

/** Stands in for the zygote, which is not serving yet: forks the rehearsed wasm processes. */
function startUnderstudy(wasm: WasmHost, socket: string): { end(): void } {
  const listener = native.listenSeqpacket(socket);
  const { pid, pidfd } = native.fork({});
  if (pid === 0) {
    native.dieWithParent();
    native.autoReap();
    const roles = {
      wasm: (fields: readonly Buffer[], fds: readonly number[]) => becomeWasmProcess(wasm, fields, fds),
    };
    serveRequests({
      source: listenerSource(listener),
      roles,
      spares: new Spares(new Map(), roles),
      end: () => native.exitNow(0),
    });
    native.exitNow(0);
  }
  closeSync(listener);
  return {
    end: () => {
      native.pidfdSendSignal(pidfd, SIGKILL);
      native.waitReadable(pidfd, -1);
      native.waitPidfd(pidfd);
      closeSync(pidfd);
    },
  };
}

/** What a wasm process does of its own, but for giving up its rights: those are the zygote's too. */
function playGuest(wasm: WasmHost, stage: Stage, code: GuestCode | undefined): void {
  const config = JSON.parse(JSON.stringify(stage.guest)) as WasmConfig;
  const stdio = openSync("/dev/null", "r+");
  const root = openSync(stage.snapshot, "r");
  const run = prepareWorkload(config, {
    // The guest closes its stdout, as a libc does at the end.
    stdio: { stdin: stdio, stdout: openSync("/dev/null", "w"), stderr: stdio },
    listeners: [],
    code,
    threads: { program: wasm.threadProgram, statusPipe: undefined },
    enterIsolation: (needs) => {
      const options = isolateOptions(wasm, config, needs);
      for (const { fd } of options.mounts) closeSync(fd);
      return [{ fd: root, guestPath: "/", readonly: false }];
    },
  });
  code?.report();
  const status = run();
  code?.ran();
  if (status !== 0) throw new Error(`rehearsed guest ended with ${String(status)}`);
  // Whatever stays open here would be open in every child.
  for (const fd of [root, stdio]) closeSync(fd);
}

/** A shim in this process; resolves when it has ended. */
function startShim(host: ShimHost, stage: Stage): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const listener = native.listenStream(stage.tasks);
  serveShim(host, { parameters: stage.parameters, listener, end: ended.resolve });
  return ended.promise;
}

interface Play {
  readonly programs: readonly string[];
  /** Called while a container runs. */
  running(): void;
}

const wholePlay: Play = { programs: ["program", "/module.wasm"], running: () => undefined };

async function playPod(stage: Stage, ended: Promise<void>, play = wholePlay): Promise<void> {
  const events = new Server().service(Events, { forward: () => ({}) });
  await events.listen({ path: stage.events });
  const client = await connect(stage.tasks);
  const task = client.service(Task);
  for (const program of play.programs) {
    stage.setProgram(program);
    await playTask(task, stage, play);
  }
  await task.shutdown({ id: "rehearsal" });
  await client.close();
  await ended;
  await events.stop();
}

/** The pages that a shim needs for either kind of container; what only one of them needs would be wasted on the other. */
async function pagesOfShim(host: ShimHost, stage: Stage): Promise<Buffer> {
  const [linux, wasm] = [
    await pagesOfPod(host, stage, ["program"]),
    await pagesOfPod(host, stage, ["/module.wasm"]),
  ];
  return native.commonPages(linux, wasm);
}

/** Forks a shim, plays a pod against it, and has it tell which pages it needed. */
async function pagesOfPod(host: ShimHost, stage: Stage, programs: readonly string[]): Promise<Buffer> {
  const listener = native.listenStream(stage.tasks);
  const [read, write] = native.pipe();
  const [heard, cue] = native.pipe();
  const child = native.fork({});
  if (child.pid === 0) {
    native.dieWithParent();
    closeSync(read);
    // At the cue the container runs. What its end needs is left out: an idle pod need not hold it.
    let pages: Buffer = Buffer.alloc(0);
    const stop = native.onReadable(heard, () => {
      stop();
      pages = native.ownPages();
    });
    serveShim(host, { parameters: stage.parameters, listener, end: () => tellPages(write, pages) });
    return await new Promise<never>(() => undefined);
  }
  for (const fd of [listener, write, heard]) closeSync(fd);
  const ended = new Promise<void>((resolve) => {
    const stop = native.onReadable(read, () => {
      stop();
      resolve();
    });
  });
  await playPod(stage, ended, { programs, running: () => writeSync(cue, "1") });
  closeSync(cue);
  return collectPages(read, child);
}

/** The same of a wasm process, as far as one can be played without giving up one's rights. */
function pagesOfGuest(wasm: WasmHost, stage: Stage): Buffer {
  const [read, write] = native.pipe();
  const child = native.fork({ newPid: true });
  if (child.pid === 0) {
    native.dieWithParent();
    playGuest(wasm, stage, wasm.code?.forGuest());
    tellPages(write, native.ownPages());
  }
  closeSync(write);
  return collectPages(read, child);
}

function tellPages(pipe: number, pages: Buffer): never {
  // A pipe takes 64 KiB at once: some thousand ranges.
  writeSync(pipe, pages);
  return native.exitNow(0);
}

/** A descriptor that was watched for readiness does not block any more. */
function readToEnd(fd: number): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    native.waitReadable(fd, -1);
    const chunk = Buffer.alloc(65536);
    const length = readSync(fd, chunk, 0, chunk.length, null);
    if (length === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, length));
  }
}

function collectPages(pipe: number, { pidfd }: { readonly pidfd: number }): Buffer {
  const pages = readToEnd(pipe);
  closeSync(pipe);
  native.waitReadable(pidfd, -1);
  native.waitPidfd(pidfd);
  closeSync(pidfd);
  return pages;
}

async function playTask(task: ServiceClient<typeof Task>, stage: Stage, play: Play): Promise<void> {
  const id = "rehearsal";
  const rootfs = [{ type: "bind", source: stage.snapshot, options: ["rbind", "rw"] }];
  const reader = openSync(stage.stdout, constants.O_RDONLY | constants.O_NONBLOCK);
  await task.create({ id, bundle: stage.bundle, rootfs, stdout: stage.stdout, stderr: stage.stdout });
  await task.connect({ id });
  const waiting = task.wait({ id });
  await task.start({ id });
  await task.state({ id });
  await task.pids({ id });
  play.running();
  await waiting;
  await task.state({ id });
  await task.delete({ id });
  readSync(reader, Buffer.alloc(16), 0, 16, null);
  closeSync(reader);
}
