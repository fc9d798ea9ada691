/**
 * container-init with plans that no shim would send. It reports what is wrong, or just ends; it never dies of a signal. The process is
 * nobody, in a user namespace where nobody is somebody: whatever it makes of a plan, it can do no harm.
 */
import { closeSync, openSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { toInit, toShim } from "../../src/executor/init-protocol.ts";
import { encodePlan } from "../../src/isolation/encode.ts";
import { type FieldKind, type Op, type Step, stepTable } from "../../src/isolation/steps.ts";
import { native } from "../../src/native.ts";
import { executable } from "./linux-container.ts";

const plans = suite("container-init and bad plans");

const CLONE_NEWUSER = 0x10000000;
const NOBODY = 65534;
const nowhere = openSync("/dev/null", "r+");

interface Answer {
  readonly status: number | undefined;
  readonly message: string | undefined;
}

/** What becomes of a container-init that gets this plan, and then is left alone. */
function perform(plan: Uint8Array): Answer {
  const [ours, theirs] = native.socketpair();
  const memfd = native.memfd("plan", plan);
  const init = asNobody(() =>
    native.spawnInit({
      cgroupFiles: [],
      cgroupDirectory: undefined,
      executable,
      stdio: [nowhere, nowhere, nowhere],
      socket: theirs,
      newNamespaces: CLONE_NEWUSER,
      joinNamespaces: [],
    }),
  );
  try {
    closeSync(theirs);
    native.sendMessage(ours, Uint8Array.of(toInit.plan), [memfd]);
    const message = lastWords(ours);
    closeSync(ours);
    assert.ok(native.waitReadable(init.pidfd, 5000), "it goes on");
    return { status: native.waitPidfd(init.pidfd)?.status, message };
  } finally {
    closeSync(memfd);
    closeSync(init.pidfd);
  }
}

/** What it says when it fails; before that it may say that its ids can be mapped. */
function lastWords(socket: number): string | undefined {
  while (native.waitReadable(socket, 5000)) {
    const data = received(socket);
    if (data?.[0] !== toShim.mappable) return data?.toString("utf8", 5);
  }
  return undefined;
}

function received(socket: number): Buffer | undefined {
  try {
    const { data, fds } = native.receiveMessage(socket, { nonBlocking: true }) ?? {
      data: undefined,
      fds: [],
    };
    for (const fd of fds) closeSync(fd);
    return data;
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, "ECONNRESET");
    return undefined;
  }
}

function asNobody<T>(work: () => T): T {
  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
  try {
    return work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** Ends of itself: with what it says, or without a word when the other side has gone. */
function ends(plan: Uint8Array): string | undefined {
  const { status, message } = perform(plan);
  assert.ok(
    status !== undefined && status < 128,
    `${Buffer.from(plan).toString("hex")}: ended with ${status}`,
  );
  return message;
}

const values: Readonly<Record<FieldKind, unknown>> = {
  u32: 1,
  u64: 1n,
  flag: true,
  text: "text",
  list: ["one", "two"],
  bytes: Buffer.alloc(16, 7),
};
const ops = Object.keys(stepTable) as Op[];

function stepOf(op: Op): Step {
  const fields = Object.entries(stepTable[op].fields).map(([name, kind]) => [
    name,
    values[kind as FieldKind],
  ]);
  return { op, property: "property", ...Object.fromEntries(fields) } as Step;
}

const offsetOfLength = 4;

/** A step that is as long as it says, but whose fields may not be. */
function withLength(plan: Buffer): Buffer {
  const copy = Buffer.from(plan);
  copy.writeUInt32LE(copy.length - 8, offsetOfLength);
  return copy;
}

plans("a step that is cut off anywhere is reported", () => {
  for (const op of ops) {
    const whole = encodePlan([stepOf(op)]);
    for (let length = 1; length < whole.length; length++) {
      assert.match(ends(whole.subarray(0, length)) ?? "", /plan truncated step/, `${op} cut to ${length}`);
      if (length >= 8) ends(withLength(whole.subarray(0, length)));
    }
  }
});

plans("a length beyond the plan is reported", () => {
  for (const op of ops) {
    const whole = encodePlan([stepOf(op)]);
    for (let at = offsetOfLength; at + 4 <= whole.length; at++) {
      for (const length of [0xffff_ffff, 0x7fff_ffff, whole.length - at - 3]) {
        const plan = Buffer.from(whole);
        plan.writeUInt32LE(length, at);
        // What is a limit and no length would be one on this very process.
        if (op !== "rlimit" || at < 8 + 4) ends(plan);
      }
    }
  }
});

plans("an empty plan, an unknown step and a plan without exec are reported", () => {
  assert.match(ends(Buffer.alloc(0)) ?? "", /mmap plan/);
  const unknown = encodePlan([stepOf("session")]);
  unknown.writeUInt32LE(4_000_000, 0);
  assert.match(ends(unknown) ?? "", /property: plan unknown step/);
  assert.match(ends(encodePlan([stepOf("umask")])) ?? "", /plan has no exec/);
});

plans("descriptors that did not come along are reported", () => {
  for (const fd of [0, 1, 0xffff_fffe, 0xffff_ffff])
    assert.match(ends(encodePlan([{ op: "joinTime", property: "p", fd }])) ?? "", /plan descriptor/);
});

plans("bytes that are no plan end it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
      ends(bytes);
    }),
    { numRuns: 200 },
  );
});

plans("a whole plan with some bytes changed ends it", () => {
  const whole = encodePlan(ops.filter((op) => op !== "rlimit" && op !== "hook").map(stepOf));
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(changes, (list) => {
      const plan = Buffer.from(whole);
      for (const [at, value] of list) plan[at] = value;
      ends(plan);
    }),
    { numRuns: 200 },
  );
});

plans.after(() => closeSync(nowhere));

plans.run();
