import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cgroupLayout } from "../../../src/isolation/cgroup/layout.ts";
import { findUnit } from "../../../src/isolation/systemd/find-scope.ts";
import { type Call, fakeSystemd, type Reply } from "../../support/fake-systemd.ts";

const scopes = suite("findUnit");
const object = "/org/freedesktop/systemd1/unit/a_2escope";

/** A systemd that knows a.scope, by this cgroup. */
const withScope =
  (group: string) =>
  ({ member, body }: Call): Reply | undefined => {
    if (member === "GetUnit")
      return body[0] === "a.scope"
        ? { signature: "o", body: [object] }
        : { error: "org.freedesktop.systemd1.NoSuchUnit", text: "not loaded" };
    return member === "Get" && body[1] === "ControlGroup"
      ? { signature: "v", body: [{ signature: "s", value: group }] }
      : undefined;
  };

scopes("a scope is found by what systemd says of its cgroup", async () => {
  await using systemd = await fakeSystemd({ reply: withScope("/none.slice/a.scope") });
  const unit = { name: "a.scope", addresses: systemd.addresses };
  const group = await findUnit(unit);
  assert.equal(group?.unit, unit);
  assert.equal(group?.dirs, [], "directories that there are not");
  assert.equal(systemd.calls.at(-1)?.body, ["org.freedesktop.systemd1.Scope", "ControlGroup"]);
  await group?.remove({ kill: true });
  assert.ok(systemd.calls.some(({ member, body }) => member === "StopUnit" && body[0] === "a.scope"));
});

scopes("one that systemd does not know is found by the directories that it left, or not at all", async () => {
  await using systemd = await fakeSystemd({ reply: withScope("") });
  const unit = { name: "b.scope", addresses: systemd.addresses };
  assert.is(await findUnit(unit), undefined);
  assert.is(await findUnit(unit, "/none.slice/b.scope"), undefined);
  const mountPoints = cgroupLayout().hierarchies.map(({ mountPoint }) => mountPoint);
  assert.equal((await findUnit(unit, "/."))?.unit, unit);
  assert.ok(mountPoints.length > 0);
});

scopes.run();
