/** A guest of `tandem run` that has broken out of V8, and the files that it was given: they lead to nothing else. */
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Runner, runTandem } from "./run-guest.ts";
import { Runners } from "./runners.ts";
import { type Call, Tracer } from "./system-calls-in.ts";

const security = suite("a hostile guest's files");
let runners: Runners;
let tracer: Tracer;

security.before(async () => {
  runners = await Runners.create();
  tracer = new Tracer();
});
security.after(async () => {
  tracer.remove();
  await runners[Symbol.asyncDispose]();
});

function both(name: string, body: (runner: Runner) => Promise<void>): void {
  security(name, async () => {
    for (const runner of runners.all) await body(runner);
  });
}

const AT_FDCWD = -100;
const [O_RDWR, O_PATH, O_CREAT] = [2, 0o10000000, 0o100];
const open = (path: string, flags = 0): Call => ["openat", AT_FDCWD, `@/fs${path}`, flags];

both("all of the machine's files are not its proc, sysfs or terminals", async (runner) => {
  for (const mode of ["rw", "ro"])
    await runners.withGuest(runner, ["--dir", `/::/::${mode}`], (pid) => {
      const hidden = [
        open("/proc/self/mem", O_RDWR),
        open("/proc/self/maps"),
        open("/proc/1/environ"),
        open("/proc/self", O_PATH),
        open("/proc/sys/kernel/core_pattern", 1),
        open("/sys/kernel"),
        open("/sys/fs/cgroup/memory"),
        open("/dev/pts/ptmx", O_RDWR),
      ];
      const [there, created, ...results] = tracer.callsIn(
        pid,
        open("/etc/passwd"),
        ["openat", AT_FDCWD, "@/fs/proc/new", O_CREAT, 0o644],
        ...hidden,
      );
      assert.match(there ?? "", /^\d+$/, "what is no such file system can be opened");
      assert.is(created, "EROFS");
      assert.equal(
        results,
        hidden.map(() => "ENOENT"),
        `${runner.name}, ${mode}`,
      );
    });
});

both("a device among its files cannot be opened", async (runner) => {
  await runners.withGuest(runner, ["--dir", "/dev::/dev"], (pid) => {
    assert.equal(tracer.callsIn(pid, open("/null"), open("/zero")), ["EACCES", "EACCES"]);
  });
});

both("no directory of the kernel's own can be granted, by whatever path", async (runner) => {
  const link = join(runners.directory, `link-${runner.uid}`);
  symlinkSync("/proc/self", link);
  for (const path of ["/proc", "/proc/sys/kernel", "/sys", "/dev/pts", link]) {
    const { status, stderr } = await runTandem(runner, ["run", "--dir", `${path}::/x`, runners.guest]);
    assert.equal([status, /the kernel's own file system/.test(stderr)], [126, true], `${path}: ${stderr}`);
  }
});

both("a program that opens its file is not held up by a lease, nor locked out", async (runner) => {
  const own = join(runners.directory, `own-${runner.uid}`);
  await runTandem(runner, [
    "run",
    "--dir",
    `${runners.directory}::/d`,
    runners.guest,
    "make",
    `/d/own-${runner.uid}`,
  ]);
  await runners.withGuest(runner, ["--dir", `${runners.directory}::/d`], (pid) => {
    const [F_SETLK, F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY, F_OFD_SETLK] = [6, 8, 10, 1024, 1026, 37];
    const F_WRLCK = 1;
    const [file, ...results] = tracer.callsIn(
      pid,
      open(`/own-${runner.uid}`, O_RDWR),
      ["fcntl", "$1", F_SETLEASE, F_WRLCK],
      ["fcntl", "$1", F_SETLK, "%0100"],
      ["fcntl", "$1", F_OFD_SETLK, "%0100"],
      ["fcntl", "$1", F_SETOWN, 1],
      ["fcntl", "$1", F_SETSIG, 9],
      ["fcntl", "$1", F_NOTIFY, 1],
      ["flock", "$1", 2],
    );
    assert.match(file ?? "", /^\d+$/);
    assert.equal(new Set(results), new Set(["EPERM"]));
    writeFileSync(own, "not held up");
  });
});

both("what it was not given has no name beside it, above it or by a link that it makes", async (runner) => {
  const inside = join(runners.directory, `inside-${runner.uid}`);
  const secret = join(runners.directory, `secret-${runner.uid}`);
  writeFileSync(secret, "secret");
  mkdirSync(inside);
  chmodSync(inside, 0o777);
  await runners.withGuest(runner, ["--dir", `${inside}::/d`], (pid) => {
    const AT_EMPTY_PATH = 0x1000;
    const results = tracer.callsIn(
      pid,
      open(`/../secret-${runner.uid}`),
      open(`/../../..${secret}`),
      ["openat", AT_FDCWD, `@${secret}`, 0],
      ["symlinkat", `@${secret}`, AT_FDCWD, "@/fs/link"],
      open("/link"),
      ["linkat", AT_FDCWD, `@${secret}`, AT_FDCWD, "@/fs/hard", 0],
      ["linkat", 0, "@", AT_FDCWD, "@/fs/stdin", AT_EMPTY_PATH],
      ["name_to_handle_at", AT_FDCWD, "@/fs", "%08000000", "*8", 0],
      ["mknodat", AT_FDCWD, "@/fs/fifo", 0o10666, 0],
      ["fchmodat", AT_FDCWD, "@/fs", 0o4777],
      ["fchownat", AT_FDCWD, "@/fs", 1, 1, 0],
      ["setxattr", "@/fs", "@user.x", "@x", 1, 0],
      ["quotactl", 0, 0, 0, 0],
    );
    const isRefused = (result: string): boolean => /^E(NOENT|ACCES|PERM|XDEV)$/.test(result);
    for (const [index, result] of results.slice(0, 12).entries())
      assert.ok(index === 3 ? result === "0" : isRefused(result), `${runner.name}: call ${index}: ${result}`);
    assert.is(results[12], "SIGSYS");
  });
  assert.is(readFileSync(secret, "utf8"), "secret");
  assert.not(existsSync(join(inside, "hard")));
});

if (Tracer.isPossible) security.run();
