/**
 * The program of a worker: runs one thread of a guest after the other, each in an instance of its own. It never ends by itself; the
 * process does, when any thread exits or traps.
 */
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { TandemError } from "../../src/errors.ts";
import { native } from "../../src/native.ts";
import { findNativeCode } from "../../src/native-code.ts";
import type { StatusLine } from "../config.ts";
import { keepDeepStacks } from "../debug/backtrace.ts";
import { denials } from "../debug/denials.ts";
import { statusFromFailure } from "../exit.ts";
import { guestStackBytes, useGuestStack } from "../guest-stack.ts";
import { prepareInstance } from "../instance.ts";
import { callExport } from "../invoke/named-export.ts";
import { usage } from "../limits/usage.ts";
import { reportLine } from "../report.ts";
import type { ThreadData } from "./thread-data.ts";
import { Threads, threadEntry } from "./threads.ts";

const data = workerData as ThreadData;
const { grant, memories, module, slot, host, sourceMap } = data;
const threads = new Threads(data);

function endProcess(status: number): never {
  const line: StatusLine = { exit: status };
  try {
    if (host.statusPipe !== undefined) writeSync(host.statusPipe, `${JSON.stringify(line)}\n`);
  } finally {
    // Also when nobody is there any more who would be told.
    native.exitNow(status);
  }
}

function runThreads(): never {
  const run = prepareInstance(module, {
    grant,
    memories,
    threads,
    sourceMap,
    beforeEnd: () => threads.slots.beginEnd(),
  });
  for (let thread = threads.slots.at(slot); ; thread = threads.slots.next(slot)) {
    const { identifier, argument } = thread;
    const outcome = run((exports) => callExport(exports, threadEntry, [identifier, argument]));
    if (outcome !== undefined) endProcess(outcome);
    usage.dropped();
  }
}

function fail(failure: TandemError): never {
  reportLine(grant.stdio.stderr, failure.message);
  return endProcess(statusFromFailure(failure));
}

usage.begin({ limits: grant.limits, cells: data.usage });
usage.beforeEnd = () => threads.slots.beginEnd();
usage.onReached(fail);
keepDeepStacks();
if (data.tellsDenials) denials.switchOn(grant.stdio.stderr);
native.exitWithThread(host.statusPipe ?? -1);
findNativeCode()?.endWhenHeapIsFull(host.statusPipe ?? -1);
useGuestStack(guestStackBytes(host.stackBytes));
try {
  runThreads();
} catch (error) {
  fail(TandemError.from(error));
}
