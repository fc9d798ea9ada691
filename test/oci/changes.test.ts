import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import type { Call } from "../../src/oci/call.ts";
import { Changes } from "../../src/oci/changes.ts";
import { orEnd } from "../../src/oci/or-end.ts";
import { rejects } from "../support/rejects.ts";

const tests = suite("tandem-oci: the order of changes");

/** As much of a call as matters here. */
function fakeCall(): Call {
  const controller = new AbortController();
  const call: Pick<Call, "interrupted" | "interrupt"> = {
    interrupted: controller.signal,
    interrupt: (reason) => controller.abort(reason),
  };
  return call as Call;
}

const reason = new TandemError("failed_precondition", "was deleted meanwhile");

tests("of one container one after the other, also after a failure; of two side by side", async () => {
  const changes = new Changes();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const step = (container: string, name: string, wait: Promise<void>) =>
    changes.alone(container, fakeCall(), {
      work: async () => {
        order.push(`${name} begins`);
        await wait;
        order.push(`${name} ends`);
        if (name === "1") throw new Error("1 fails");
        return name;
      },
    });
  const first = step("a", "1", gate.promise);
  const second = step("a", "2", Promise.resolve());
  assert.is(await step("b", "3", Promise.resolve()), "3");
  gate.resolve();
  assert.match(String(await first.catch((error: unknown) => error)), /1 fails/);
  assert.is(await second, "2");
  assert.equal(order, ["1 begins", "3 begins", "3 ends", "1 ends", "2 begins", "2 ends"]);
});

tests(
  "an interruption reaches what is under way and what waits, and says why; not what comes later",
  async () => {
    const changes = new Changes();
    const call = fakeCall();
    let ended = false;
    const work = (): Promise<never> => {
      const { promise, reject } = Promise.withResolvers<never>();
      return orEnd(
        call.interrupted,
        () => reject(new Error("killed")),
        () => promise,
      ).finally(() => {
        ended = true;
      });
    };
    const hanging = changes.alone("a", call, { work });
    const waiting = changes.alone("a", fakeCall(), { work: async () => assert.unreachable() });
    const other = changes.alone("b", fakeCall(), { work: async () => "b" });
    const whenBusy = (): void => {
      throw new Error("of no use");
    };
    const refused = changes.alone("a", fakeCall(), { work: async () => assert.unreachable(), whenBusy });
    assert.match(String(await refused.catch((error: unknown) => error)), /of no use/);
    assert.is(await changes.alone("c", fakeCall(), { work: async () => "c", whenBusy }), "c");
    await Promise.resolve();
    changes.interrupt("a", reason);
    const later = changes.alone("a", fakeCall(), { work: async () => assert.ok(ended) });
    await rejects(() => hanging, "failed_precondition", /^was deleted meanwhile$/);
    await rejects(() => waiting, "failed_precondition", /^was deleted meanwhile$/);
    assert.is(await other, "b");
    await later;
    changes.interrupt("nobody's", reason);
  },
);

tests("what goes on beside the order is interrupted as well, until it is over", async () => {
  const changes = new Changes();
  const [call, over] = [fakeCall(), fakeCall()];
  await changes.interruptible("a", over, async () => undefined);
  const beside = changes.interruptible("a", call, async () => {
    await changes.alone("a", call, { work: async () => undefined });
    changes.interrupt("a", reason);
    throw new Error("killed");
  });
  await rejects(() => beside, "failed_precondition", /^was deleted meanwhile$/);
  assert.not.ok(over.interrupted.aborted);
});

tests("what comes to its end all the same is not taken for a success", async () => {
  const controller = new AbortController();
  const work = orEnd(
    controller.signal,
    () => undefined,
    async () => {
      controller.abort(reason);
      return "done";
    },
  );
  await rejects(() => work, "failed_precondition", /^was deleted meanwhile$/);
  await rejects(
    () =>
      orEnd(
        controller.signal,
        () => undefined,
        async () => assert.unreachable(),
      ),
    "failed_precondition",
    /meanwhile/,
  );
});

tests.run();
