import { existsSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Manager } from "../../../src/isolation/systemd/manager.ts";
import { managerAddresses } from "../../../src/isolation/systemd/manager-addresses.ts";
import { fakeSystemd } from "../../support/fake-systemd.ts";
import { rejects } from "../../support/rejects.ts";

const manager = suite("systemd's manager over D-Bus");
const properties = [["Delegate", { signature: "b", value: true }]] as const;

for (const resultFirst of [false, true]) {
  manager(
    `a unit is there when its job ${resultFirst ? "ended before it was answered" : "has ended"}`,
    async () => {
      await using systemd = await fakeSystemd({ resultFirst });
      await Manager.use(systemd.addresses, (one) => one.startTransient("a.scope", properties));
      assert.equal(
        systemd.calls.map(({ member }) => member),
        ["Hello", "AddMatch", "Subscribe", "StartTransientUnit"],
      );
      assert.match(String(systemd.calls[1]?.body[0]), /member='JobRemoved'/);
      assert.equal(systemd.calls[3]?.body, ["a.scope", "replace", properties, []]);
    },
  );
}

manager("the manager's own socket does where no bus runs", async () => {
  await using systemd = await fakeSystemd({
    socket: "systemd/private",
    // It has neither names nor matches.
    reply: ({ member }) =>
      member === "AddMatch" ? { error: "org.freedesktop.DBus.Error.UnknownMethod", text: "" } : undefined,
  });
  await Manager.use(systemd.addresses, (one) => one.startTransient("a.scope", properties));
  assert.not.ok(systemd.calls.some(({ member }) => member === "Hello"));
});

manager("a job that fails fails the call", async () => {
  await using systemd = await fakeSystemd({ jobResult: "failed" });
  await rejects(
    () => Manager.use(systemd.addresses, (one) => one.startTransient("a.scope", properties)),
    "failed_precondition",
    /^systemd: StartTransientUnit of a\.scope ended as failed$/,
  );
});

for (const [name, code] of [
  ["org.freedesktop.systemd1.UnitExists", "already_exists"],
  ["org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "permission_denied"],
  ["org.freedesktop.DBus.Error.PropertyReadOnly", "invalid_argument"],
  ["org.example.Other", "failed_precondition"],
] as const) {
  manager(`${name} is ${code}`, async () => {
    await using systemd = await fakeSystemd({
      reply: ({ member }) => (member === "SetUnitProperties" ? { error: name, text: "not so" } : undefined),
    });
    await rejects(
      () => Manager.use(systemd.addresses, (one) => one.setProperties("a.scope", properties)),
      code,
      /^systemd: SetUnitProperties: not so \(org\./,
    );
  });
}

manager("a unit that has gone needs no stop", async () => {
  const gone = { error: "org.freedesktop.systemd1.NoSuchUnit", text: "Unit a.scope not loaded." };
  await using systemd = await fakeSystemd({
    reply: ({ member }) => (/^(StopUnit|ResetFailedUnit)$/.test(member) ? gone : undefined),
  });
  await Manager.use(systemd.addresses, (one) => one.stop("a.scope"));
  assert.equal(
    systemd.calls.slice(-2).map(({ member }) => member),
    ["StopUnit", "ResetFailedUnit"],
  );
});

manager("systemd's version is a number", async () => {
  await using systemd = await fakeSystemd();
  assert.is(await Manager.use(systemd.addresses, (one) => one.version()), 252);
});

manager("a bus that does not let us in, or goes away, is no hang", async () => {
  {
    await using systemd = await fakeSystemd({ authentication: "REJECTED EXTERNAL\r\n" });
    const { addresses } = systemd;
    await rejects(() => Manager.use(addresses, (one) => one.version()), "permission_denied", /REJECTED/);
  }
  await using systemd = await fakeSystemd({
    reply: ({ member }) => {
      if (member === "Get") setTimeout(() => void systemd[Symbol.asyncDispose](), 10);
      return member === "Get" ? "silence" : undefined;
    },
  });
  await rejects(() => Manager.use(systemd.addresses, (one) => one.version()), "unavailable", /closed/);
});

manager("where systemd does not run, the error says what to set", async () => {
  assert.throws(
    () => managerAddresses("user", { XDG_RUNTIME_DIR: "/nonexistent" }),
    /no \/nonexistent\/systemd.*SystemdCgroup = false/,
  );
  if (!existsSync("/run/systemd/system"))
    assert.throws(
      () => managerAddresses("system", {}),
      /does not run on this machine.*SystemdCgroup = false/,
    );
});

manager.run();
