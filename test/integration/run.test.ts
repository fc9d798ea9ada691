/** `tandem run` and `tandem serve`, by root and by somebody who is not, as the kernel sees them. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildComponent } from "../../examples/http-function/build.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { type Runner, RunningGuest, runTandem, tandem } from "./run-guest.ts";
import { Runners } from "./runners.ts";

const all = suite("tandem run");
let runners: Runners;
let directory: string;
let guest: string;

all.before(async () => {
  runners = await Runners.create();
  ({ directory, guest } = runners);
});
all.after(() => runners[Symbol.asyncDispose]());

/** For root and for a user. */
function both(name: string, body: (runner: Runner) => Promise<void>): void {
  all(name, async () => {
    for (const runner of runners.all) await body(runner);
  });
}

const linkOf = (pid: number | "self", name: string): string => readlinkSync(`/proc/${pid}/ns/${name}`);

both("a guest has its arguments and nothing of the caller's environment", async (runner) => {
  const { stdout, stderr, status } = await runTandem(runner, ["run", "--env", "A=b", guest, "--dir", "x"]);
  assert.equal([stdout, stderr, status], ["[guest.wasm][--dir][x]{A=b}\n", "", 0], runner.name);
});

both("the exit status is the guest's, a trap's, or says what could not be run", async (runner) => {
  const status = async (...args: string[]): Promise<number> =>
    (await runTandem(runner, ["run", ...args])).status;
  assert.is(await status(guest, "exit", "7"), 7);
  assert.is(await status(guest, "trap"), 134);
  assert.is(await status(join(directory, "none.wasm")), 127);
  assert.is(await status(`${guest}#none`), 127);
  assert.is(await status("/etc/passwd"), 126);
  assert.is(await status("--nonsense", guest), 125);
  assert.is(await status("-W", "timeout=100ms", guest, "spin"), 124);
});

/** `_start` ends with 3; `count` functions more do nothing. */
function moduleOf(count: number): Uint8Array {
  const leb = (value: number): number[] =>
    value < 128 ? [value] : [(value & 127) | 128, ...leb(Math.floor(value / 128))];
  const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
  const section = (id: number, ...content: (readonly number[])[]): Buffer => {
    const body = Buffer.concat(content.map((part) => Buffer.from(part)));
    return Buffer.concat([Buffer.from([id, ...leb(body.length)]), body]);
  };
  const all = leb(count + 1);
  return Buffer.concat([
    Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
    section(1, [2, 0x60, 1, 0x7f, 0, 0x60, 0, 0]),
    section(2, [1], text("wasi_snapshot_preview1"), text("proc_exit"), [0, 0]),
    section(3, all, new Array<number>(count + 1).fill(1)),
    section(5, [1, 0, 1]),
    section(7, [2], text("_start"), [0, 1], text("memory"), [2, 0]),
    section(10, all, [6, 0, 0x41, 3, 0x10, 0, 0x0b], new Array<number[]>(count).fill([2, 0, 0x0b]).flat()),
  ]);
}

both("the exit status of a module with very many functions arrives, too", async (runner) => {
  const path = join(directory, "large.wasm");
  writeFileSync(path, moduleOf(150_000));
  const { status, stderr } = await runTandem(runner, ["run", path]);
  assert.equal([status, stderr], [3, ""], runner.name);
});

both(
  "streams are the caller's own: any size passes, and the end of the one is the end of the other",
  async (runner) => {
    const input = Buffer.alloc(9_000_000, "0123456789abcdef");
    const { stdout, status } = await runTandem(runner, ["run", guest, "copy"], input);
    assert.is(status, 0);
    assert.ok(input.equals(Buffer.from(stdout)));
  },
);

all("the gid and the groups are the caller's, whoever made the zygote", async () => {
  const own = mkdtempSync(join(directory, "groups-"));
  chmodSync(own, 0o777);
  for (const [index, runner] of runners.all.entries()) {
    const group = 1234 + index;
    const change = ["setpriv", "--regid", String(group), "--groups", "777,778"];
    const command = (program: readonly string[]): readonly [string, ...string[]] => {
      const usual = runner.command(program);
      // A user's begins with a setpriv of six words, which has their own groups.
      const own = ["--reuid", String(runner.uid), ...usual.slice(6)];
      return ["setpriv", ...change.slice(1), ...(runner.uid === 0 ? ["--", ...usual] : own)];
    };
    await runTandem(runner, ["run", guest]);
    const changed: Runner = { ...runner, command };
    await runners.withGuest(changed, ["--dir", own], (pid) => {
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      assert.match(status, new RegExp(`^Gid:\t${group}\t${group}\t${group}\t${group}$`, "m"), runner.name);
      assert.match(status, /^Groups:\t777 778 ?$/m, runner.name);
      assert.match(status, /^CapEff:\t0+$/m, runner.name);
    });
    const made = join(own, String(group));
    assert.is((await runTandem(changed, ["run", "--dir", own, guest, "make", made])).status, 0);
    assert.equal([statSync(made).uid, statSync(made).gid], [runner.uid, group]);
    await runners.withGuest(runner, [], (pid) => {
      assert.not.match(readFileSync(`/proc/${pid}/status`, "latin1"), /^Groups:.*777/m, runner.name);
    });
  }
});

both("directories are what was named, read-only where that was said", async (runner) => {
  const own = mkdtempSync(join(directory, "own-"));
  chmodSync(own, 0o777);
  writeFileSync(join(own, "there"), "");
  const args = ["--dir", `${own}::/data`];
  const list = (...more: string[]) => runTandem(runner, ["run", ...args, ...more, guest, "list", "/data"]);
  assert.equal((await list()).stdout.split("\n").sort(), ["", ".", "..", "there"]);
  assert.is((await runTandem(runner, ["run", guest, "list", "/data"])).status, 1);
  assert.is((await runTandem(runner, ["run", ...args, guest, "make", "/data/made"])).status, 0);
  assert.is(statSync(join(own, "made")).uid, runner.uid);
  const sealed = await runTandem(runner, ["run", "--dir", `${own}::/data::ro`, guest, "make", "/data/more"]);
  assert.is(sealed.status, 1);
  assert.match(sealed.stderr, /Read-only|read-only|not permitted|Permission/i);
  const [one, two] = [join(own, "one"), join(own, "two")];
  for (const path of [one, two]) {
    mkdirSync(path);
    chmodSync(path, 0o777);
  }
  const several = ["--dir", `${one}::/1`, "--dir", `${two}::/2::ro`];
  assert.is((await runTandem(runner, ["run", ...several, guest, "make", "/1/x"])).status, 0);
  assert.is((await runTandem(runner, ["run", ...several, guest, "make", "/2/x"])).status, 1);
  assert.equal(readdirSync(own).sort(), ["made", "one", "there", "two"]);
});

both(
  "seen from outside: namespaces of its own, an empty root, no network, no capability, a filter",
  async (runner) => {
    const running = await RunningGuest.begin(runner, [guest, "wait"]);
    try {
      const { guest: pid } = running;
      for (const name of ["net", "pid", "mnt", "ipc", "uts"])
        assert.is.not(linkOf(pid, name), linkOf("self", name), `${runner.name}: ${name}`);
      assert.is(linkOf(pid, "user") === linkOf("self", "user"), runner.uid === 0);
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
        assert.match(status, `Cap${set}:\t${"0".repeat(16)}`);
      assert.match(status, /NoNewPrivs:\t1/);
      assert.match(status, /Seccomp:\t2/);
      assert.match(status, new RegExp(`^Uid:\t${runner.uid}\t`, "m"));
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "latin1").trimEnd().split("\n");
      assert.is(mounts.length, 1);
      assert.match(mounts[0] ?? "", / \/ \/ ro,.* - tmpfs /);
      const devices = readFileSync(`/proc/${pid}/net/dev`, "latin1").trimEnd().split("\n").slice(2);
      assert.equal(
        devices.map((line) => line.trim().split(":")[0]),
        ["lo"],
      );
    } finally {
      running.child.kill("SIGKILL");
      await running.exited;
    }
  },
);

both("with a network granted the guest is in the caller's", async (runner) => {
  const running = await RunningGuest.begin(runner, ["--allow", "127.0.0.1:1", guest, "wait"]);
  assert.is(linkOf(running.guest, "net"), linkOf("self", "net"));
  running.child.kill("SIGKILL");
  await running.exited;
});

both("signals reach the guest, and its end is the command's", async (runner) => {
  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
    ["SIGQUIT", 131],
  ] as const) {
    const running = await RunningGuest.begin(runner, [guest, signal === "SIGINT" ? "spin" : "wait"]);
    running.child.kill(signal);
    assert.is(await running.exited, status, `${runner.name}: ${signal}`);
    await waitFor(() => running.isGone, 10_000, "the guest's end");
  }
});

both(
  "a command that is killed takes its guest with it, and a guest that is killed its command",
  async (runner) => {
    for (const verb of ["wait", "spin"]) {
      const running = await RunningGuest.begin(runner, [guest, verb]);
      running.child.kill("SIGKILL");
      assert.is(await running.exited, 137);
      await waitFor(() => running.isGone, 10_000, `${runner.name}: the end of a guest that ${verb}s`);
    }
    const running = await RunningGuest.begin(runner, [guest, "wait"]);
    process.kill(running.guest, "SIGKILL");
    assert.is(await running.exited, 137);
  },
);

both(
  "an http component is served at a socket of the command's, the guest is in no network, and ends with 0",
  async (runner) => {
    const component = join(directory, `function-${runner.uid}.wasm`);
    writeFileSync(component, await buildComponent());
    const [program, ...rest] = runner.command([tandem, "serve", "--addr", "127.0.0.1:0", component]);
    const child = spawn(program, rest, { cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
    const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [, url = ""] = await waitFor(
      () => /^Serving HTTP on (http:\S+)\n/m.exec(said),
      120_000,
      "the server's line",
    );
    const answer = await fetch(url, { headers: { connection: "close" } });
    assert.match(await answer.text(), "hello");
    child.kill("SIGTERM");
    assert.is(await exited, 0, said);
  },
);

both("what is wrong is said of the world of the component", async (runner) => {
  const component = join(directory, `function-${runner.uid}.wasm`);
  const ran = await runTandem(runner, ["run", component]);
  assert.equal([ran.status, /tandem serve runs it/.test(ran.stderr)], [126, true]);
  const served = await runTandem(runner, ["serve", "--addr", "127.0.0.1:0", guest]);
  assert.equal([served.status, /no component that answers/.test(served.stderr)], [126, true]);
});

all.run();
