import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OciCommands } from "./oci-commands.ts";

const hooks = suite("tandem-oci: hooks");
let oci: OciCommands;

hooks.before(() => {
  oci = new OciCommands();
});
hooks.after(async () => {
  await oci[Symbol.asyncDispose]();
});

function shell(script: string, env?: string[]) {
  return { path: "/bin/sh", args: ["sh", "-c", script], ...(env === undefined ? {} : { env }) };
}

hooks("a hook without an environment of its own inherits the caller's", async () => {
  const bundle = oci.bundle("true", {
    hooks: {
      prestart: [shell('echo "$HOME" >prestart')],
      poststart: [shell('echo "$HOME" >poststart')],
      poststop: [shell('echo "$HOME" >poststop'), shell('echo "$HOME" >own', ["HOME=/blue"])],
    },
  });
  const done = await oci.call(["run", "--bundle", bundle, "inherits"], { environment: { HOME: "/red" } });
  assert.is(done.status, 0, done.stderr);
  for (const kind of ["prestart", "poststart", "poststop"])
    assert.is(readFileSync(join(bundle, kind), "utf8"), "/red\n", kind);
  assert.is(readFileSync(join(bundle, "own"), "utf8"), "/blue\n");
});

hooks(
  "a failing poststop hook does not keep the next ones from running, and each failure is said",
  async () => {
    const bundle = oci.bundle("true", {
      hooks: { poststop: [shell("exit 3"), shell("touch second"), shell("exit 4"), shell("touch fourth")] },
    });
    const log = join(bundle, "log");
    const done = await oci.run("--log", log, "run", "--bundle", bundle, "stops");
    assert.is(done.status, 0, done.stderr);
    assert.ok(existsSync(join(bundle, "second")) && existsSync(join(bundle, "fourth")));
    assert.match(readFileSync(log, "utf8"), /poststop\[0\].*status 3.*poststop\[2\].*status 4/);
  },
);

for (const verb of ["start", "run"])
  hooks(`a failing poststart hook fails ${verb}, and the container is destroyed`, async () => {
    const id = `poststart-${verb}`;
    const bundle = oci.bundle("exec sleep 100", {
      hooks: { poststart: [shell("echo too late >&2; exit 4")], poststop: [shell("touch stopped")] },
    });
    if (verb === "start") await oci.create(id, bundle);
    const failed = await oci.run(...(verb === "start" ? ["start", id] : ["run", "--bundle", bundle, id]));
    assert.is(failed.status, 1);
    assert.match(failed.stderr, /hooks\.poststart\[0\] \/bin\/sh: failed with status 4: too late/);
    assert.match((await oci.run("state", id)).stderr, /does not exist/);
    assert.ok(existsSync(join(bundle, "stopped")));
  });

hooks("a log that cannot be written is an error before anything else", async () => {
  const { status, stderr } = await oci.run("--log", "/nowhere/log", "list");
  assert.is(status, 1);
  assert.match(stderr, /--log: .*ENOENT/);
});

hooks.run();
