/** TANDEM_LOG, as docs/debugging.md has it. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../scripts/private-containerd/command.ts";
import { Household } from "../support/household.ts";
import { compileC } from "../wasm-host/wasi/p1/compile-c.ts";
import { tandem } from "./run-guest.ts";

const test = suite("TANDEM_LOG");
const place = mkdtempSync("/tmp/tl-");
const household = new Household(place);
test.before(() => mkdirSync(join(place, "data")));
test.after(() => {
  household.end();
  rmSync(place, { recursive: true, force: true });
});

const guest = (): string =>
  compileC(`#include <fcntl.h>
    #include <sys/stat.h>
    int main(void) {
      for (int round = 0; round < 2; round++) {
        open("/data/none", O_RDONLY);
        open("/data/../secret", O_RDONLY);
        mkdir("/data/new", 0777);
      }
      return 3;
    }`);

async function stderrAt(level: string): Promise<string> {
  const args = ["run", "--dir", `${join(place, "data")}::/data::ro`, "--env", "KEY=value", guest()];
  const environment = { ...household.environment, TANDEM_LOG: level };
  const { status, stderr } = await run(tandem, args, { environment });
  assert.is(status, 3, stderr);
  return stderr;
}

test("debug: the grant, what was denied or missing, once each, and the end", async () => {
  const [granted = "", ...rest] = (await stderrAt("debug")).split("\n");
  assert.match(granted, /^tandem: granted: \{.*"env":\["KEY"\].*"guestPath":"\/data","readonly":true/);
  assert.not.match(granted, "value");
  assert.equal(rest, [
    'tandem: missing: path_open "none": there is no such file (noent)',
    'tandem: denied: path_open "../secret": not permitted (perm)',
    'tandem: denied: path_create_directory "new": read-only (rofs)',
    "tandem: ended with 3",
    "",
  ]);
});

test("info: the grant and the end; off, as usual: nothing", async () => {
  assert.match(await stderrAt("info"), /^tandem: granted: .*\ntandem: ended with 3\n$/);
  assert.is(await stderrAt("off"), "");
  assert.is(await stderrAt(""), "");
});

test.run();
