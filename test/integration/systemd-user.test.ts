/**
 * The systemd cgroup driver without root: scopes of a user's own systemd. As root this file runs itself again as a user who has one
 * (`npm run test:vm` has a user for it), once from inside that systemd's cgroups and once from elsewhere, as from a login session.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { spawnPlaceholder } from "../../src/executor/placeholder.ts";
import { openScope } from "../../src/isolation/systemd/open-scope.ts";
import { skipSuite } from "../support/skip.ts";
import { createBundle, executable, specOf } from "./linux-container.ts";

const self = fileURLToPath(import.meta.url);
const tandemOci = fileURLToPath(new URL("../../dist/bin/tandem-oci", import.meta.url));

function show(unit: string, ...properties: string[]): string[] {
  const args = ["--user", "show", "--value", ...properties.flatMap((name) => ["-p", name]), unit];
  return execFileSync("systemctl", args, { encoding: "utf8" }).trim().split("\n");
}

const user = suite("scopes of a user's systemd");

user("a scope has its limits from systemd and from us", async () => {
  const unit = `tandemtest-${process.pid}.scope`;
  const scope = await openScope({
    cgroupsPath: `:tandemtest:${process.pid}`,
    namespace: "n",
    id: "i",
    resources: { memory: { limit: 64 << 20 }, pids: { limit: 17 } },
    annotations: undefined,
    env: process.env,
    placeholder: () => spawnPlaceholder(executable),
  });
  try {
    const [directory = ""] = scope.dirs;
    assert.match(directory, /\/user@\d+\.service\/user\.slice\/tandemtest-\d+\.scope$/);
    assert.equal(show(unit, "MemoryMax", "TasksMax").sort(), ["17", String(64 << 20)].sort());
    assert.is(readFileSync(`${directory}/pids.max`, "utf8"), "17\n");
    const child = spawn("sleep", ["60"]);
    await scope.add(child.pid ?? 0);
    await scope.settle();
    assert.equal(scope.pids(), [child.pid]);
    await scope.update({ pids: { limit: 18 } });
    assert.equal(show(unit, "TasksMax"), ["18"]);
  } finally {
    scope.kill(9);
    await scope.remove();
  }
  assert.equal(show(unit, "LoadState"), ["not-found"]);
});

user("the command line runs a container of a user's in a scope of that user's systemd", () => {
  const bundle = createBundle();
  const id = `tandemtest-oci-${process.pid}`;
  const unit = `oci-${id}.scope`;
  const mapping = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  const spec = specOf("cat /proc/self/cgroup; exec sleep 60", {
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    linux: {
      cgroupsPath: `user.slice:oci:${id}`,
      resources: { pids: { limit: 30 } },
      namespaces: ["pid", "mount", "uts", "ipc", "user", "cgroup"].map((type) => ({ type })),
      uidMappings: mapping(process.getuid?.() ?? 0),
      gidMappings: mapping(process.getgid?.() ?? 0),
    },
  });
  writeFileSync(join(bundle.path, "config.json"), JSON.stringify(spec));
  const oci = (...args: string[]): string => {
    const result = spawnSync(tandemOci, ["--root", join(bundle.path, "state"), "--systemd-cgroup", ...args], {
      stdio: ["ignore", args[0] === "create" ? "ignore" : "pipe", "inherit"],
      encoding: "utf8",
    });
    assert.is(result.status, 0, args.join(" "));
    return result.stdout;
  };
  try {
    oci("create", "--bundle", bundle.path, id);
    assert.equal(show(unit, "ActiveState", "TasksMax").sort(), ["30", "active"]);
    const { pid } = JSON.parse(oci("state", id)) as { pid: number };
    assert.match(readFileSync(`/proc/${pid}/cgroup`, "utf8"), new RegExp(`/user\\.slice/${unit}$`, "m"));
    oci("start", id);
    assert.is(oci("exec", id, "cat", "/proc/self/cgroup"), "0::/\n");
    oci("update", "--pids-limit", "33", id);
    assert.equal(show(unit, "TasksMax"), ["33"]);
    oci("delete", "--force", id);
    assert.equal(show(unit, "LoadState"), ["not-found"]);
  } finally {
    bundle.remove();
  }
});

const outside = suite("scopes of a user's systemd, by a user");
const owner = existsSync("/run/user")
  ? readdirSync("/run/user").find((uid) => uid !== "0" && existsSync(`/run/user/${uid}/systemd/private`))
  : undefined;

for (const [where, wrapper] of [
  [
    "from inside it",
    ["systemd-run", "--user", "--wait", "--pipe", "--quiet", "--collect", "-p", "KillMode=mixed"],
  ],
  ["from elsewhere", []],
] as const) {
  outside(`passes the suite ${where}`, () => {
    const as = [`--reuid=${owner}`, `--regid=${owner}`, "--clear-groups"];
    const env = [`XDG_RUNTIME_DIR=/run/user/${owner}`, `HOME=/tmp`, `PATH=${process.env["PATH"]}`];
    const node = [process.execPath, "--no-warnings", self, "--as-user"];
    const { status, stdout, stderr } = spawnSync(
      "setpriv",
      [...as, "env", "-i", ...env, ...wrapper, "env", ...env, ...node],
      { encoding: "utf8", cwd: "/" },
    );
    assert.is(status, 0, stdout + stderr);
  });
}

const missing =
  process.getuid?.() !== 0
    ? "not root"
    : owner === undefined
      ? "no user has a systemd of its own here (loginctl enable-linger)"
      : existsSync("/sys/fs/cgroup/cgroup.controllers")
        ? undefined
        : "cgroup v2 is not what is mounted";
if (process.argv.includes("--as-user")) user.run();
else if (missing !== undefined) skipSuite("scopes of a user's systemd", missing);
else outside.run();
