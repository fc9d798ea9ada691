/** What only a wasm container has: its walls, seen from the host, and its grant, seen from the guest. */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Case } from "./case.ts";
import { fails } from "./fails.ts";
import { namespaceOf, statusOf } from "./proc.ts";
import { specOf } from "./spec.ts";

const only = ["tandem-wasm"] as const;
const module = "/hello-wasm.wasm";

export const wasmCases: readonly Case[] = [
  {
    name: "the kernel holds a guest: no capabilities, no_new_privs, seccomp, own namespaces, an empty root",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.stdout.shows("sleeping\n");
      const status = statusOf(pid);
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
        assert.is(status[set], "0000000000000000", set);
      assert.is(status["NoNewPrivs"], "1");
      assert.is(status["Seccomp"], "2");
      assert.is(status["NSpid"]?.split(/\s+/).at(-1), "1");
      for (const type of ["mnt", "pid", "ipc", "uts", "net"])
        assert.is.not(namespaceOf(pid, type), namespaceOf("self", type), type);
      // The process's own root is empty: the image is reached by the descriptor of the grant only.
      assert.equal(
        readdirSync(`/proc/${pid}/root/`).filter((name) => name !== "fs"),
        [],
      );
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").trim().split("\n");
      const points = mounts.map((line) => line.split(" ")[4]);
      assert.ok(points.length <= 3, mounts.join("\n"));
      for (const kind of ["proc", "sysfs", "cgroup", "devtmpfs"])
        assert.not.ok(
          mounts.some((line) => line.includes(` - ${kind} `)),
          `${kind} is mounted`,
        );
    },
  },
  {
    name: "no descriptor of the shim, the zygote or the host reaches a guest's process",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.stdout.shows("sleeping\n");
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      for (const path of open) {
        const foreign = /zygote|\.sock|memfd:|config\.json|^socket:/.test(path);
        assert.not.ok(foreign, open.join(", "));
      }
    },
  },
  {
    name: "files of the image and of mounts are there, with their rights, and nothing else of the host",
    on: only,
    async run(scene, runtime) {
      const host = join(scene.containerd.directory, "volume");
      mkdirSync(join(host, "ro"), { recursive: true });
      mkdirSync(join(host, "rw"));
      writeFileSync(join(host, "ro/file"), "from the host\n");
      const bind = (destination: string, source: string, options: string[]) => ({
        destination,
        source,
        type: "bind",
        options: ["rbind", ...options],
      });
      const mounts = [bind("/ro", join(host, "ro"), ["ro"]), bind("/rw", join(host, "rw"), ["rw"])];
      const attempt = async (...args: string[]) => {
        await using c = scene.container(runtime, { args: [module, ...args], mounts });
        await c.run();
        const status = await c.wait();
        return { status, stdout: await c.stdout.end(), stderr: await c.stderr.end() };
      };
      assert.is((await attempt("read", "/data/greeting")).stdout, "hello from a file\n");
      assert.is((await attempt("read", "/ro/file")).stdout, "from the host\n");
      assert.is((await attempt("write", "/rw/new", "by the guest")).status, 0);
      assert.is(readFileSync(join(host, "rw/new"), "utf8"), "by the guest");
      const refused = await attempt("write", "/ro/new", "x");
      assert.is(refused.status, 1);
      assert.match(refused.stderr, /Read-only/i);
      assert.is((await attempt("write", "/tmp/x", "x")).status, 0);
      for (const path of [
        "/etc/hostname",
        "/proc/self/status",
        "/dev/null",
        "/../etc/passwd",
        "/ro/../../etc/passwd",
      ])
        assert.is((await attempt("read", path)).status, 1, path);
    },
  },
  {
    name: "a read-only rootfs is read-only",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, {
        args: [module, "write", "/tmp/x", "x"],
        readonlyRootfs: true,
      });
      await c.run();
      assert.is(await c.wait(), 1);
      assert.match(await c.stderr.end(), /Read-only/i);
    },
  },
  {
    name: "a trap ends with 134 and one line that says what it was",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: [module, "trap"] });
      await c.run();
      assert.is(await c.wait(), 134);
      const line = await c.stderr.end();
      assert.ok(/^(tandem: )?trap: unreachable\n/.test(line), line);
    },
  },
  {
    name: "an exec can be another module or an export, and nothing that is neither",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      const other = await c.execToEnd("e1", ["/other.wasm", "stderr", "other"]);
      assert.equal(other, { status: 0, stdout: "", stderr: "other\n" });
      const missing = await c.exec("e2", { args: ["/hello-wasm.wasm#no_such_export"] });
      const started = await c.start("e2").then(
        () => true,
        () => false,
      );
      if (started) {
        assert.is(await c.wait("e2"), 127);
        assert.match(await missing.stderr.end(), /no_such_export/);
      }
      await c.exec("e3", { args: ["/data/greeting"] });
      const notWasm = c.start("e3").then(() => c.wait("e3"));
      const outcome = await notWasm.then(String, () => "refused");
      assert.ok(["126", "refused"].includes(outcome), outcome);
    },
  },
  {
    name: "an export that is not there makes create fail",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: [`${module}#nothing`] });
      await fails(c.create(), "not_found", /no exported function nothing/);
    },
  },
  {
    name: "without stdin a guest reads its end at once",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.cat });
      await c.run();
      assert.is(await c.wait(), 0);
      assert.is(await c.stdout.end(), "");
    },
  },
  {
    name: "hooks run around a guest, and a late one that fails harms nothing",
    on: only,
    async run(scene, runtime) {
      const { directory, namespace } = scene.containerd;
      const log = join(directory, "wasm-hooks");
      const hook = (name: string, status = 0) => ({
        path: "/bin/sh",
        args: ["sh", "-c", `read -r state; echo "${name} $state" >> ${log}; exit ${status}`],
      });
      const id = "wasm-hooks";
      const options = { id, args: runtime.programs.exit(3) };
      const hooks = {
        prestart: [hook("prestart")],
        createRuntime: [hook("createRuntime")],
        poststart: [hook("poststart")],
        poststop: [hook("poststop", 1)],
      };
      await using c = scene.container(runtime, {
        ...options,
        spec: { ...specOf(namespace, id, options), hooks },
      });
      await c.run();
      assert.is(await c.wait(), 3);
      await c.delete();
      const ran = readFileSync(log, "utf8").trim().split("\n");
      assert.equal(
        ran.map((line) => `${line.split(" ")[0]} ${/"status":"(\w+)"/.exec(line)?.[1]}`),
        ["prestart creating", "createRuntime creating", "poststart running", "poststop stopped"],
      );
    },
  },
  {
    name: "a kernel's property that a wasm container cannot have is refused by name",
    on: only,
    async run(scene, runtime) {
      await using c = scene.container(runtime, {
        args: runtime.programs.exit(0),
        mounts: [{ destination: "/x", type: "overlay", source: "overlay", options: [] }],
      });
      await fails(c.create(), "invalid_argument", /\/x.*overlay/);
    },
  },
];
