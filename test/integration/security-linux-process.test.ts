/**
 * What a process of a container can reach of the runtime: its executable (CVE-2019-5736), its memory and descriptors
 * (CVE-2016-9962, CVE-2024-21626), its rights (CVE-2022-29162), keys and groups.
 */
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Spec } from "../../src/bundle/spec.ts";
import { openCgroup } from "../../src/isolation/cgroup.ts";
import { native } from "../../src/native.ts";
import { arm, type Room, within } from "./hostile.ts";
import {
  allCapabilities,
  create,
  createBundle,
  eventually,
  executable,
  exitOf,
  lines,
  run,
  specOf,
} from "./linux-container.ts";

const security = suite("a hostile Linux container: the runtime's process");

const powers = (...more: string[]) => {
  const names = [...allCapabilities.effective, ...more];
  return { effective: names, bounding: names, permitted: names };
};
const mapped = {
  namespaces: ["pid", "mount", "uts", "ipc", "network", "user"].map((type) => ({ type })),
  uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  gidMappings: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
};
const image = (): Buffer => readFileSync(`/proc/self/fd/${executable}`);

/** A container that was created and not started, in the pid namespace of `room`'s; its pid there and on the machine. */
async function neighbour(
  room: Room,
  change: Parameters<typeof specOf>[1],
  body: (pids: { readonly there: string; readonly here: number }) => Promise<void>,
): Promise<void> {
  const bundle = createBundle();
  const pid = room.container.init.pid;
  const namespaces = ["mount", "uts", "ipc", "network"].map((type) => ({ type }));
  const joined = [...namespaces, { type: "pid", path: `/proc/${pid}/ns/pid` }];
  try {
    const { container } = await create(bundle, specOf("true", { ...change, linux: { namespaces: joined } }));
    try {
      const status = readFileSync(`/proc/${container.init.pid}/status`, "utf8");
      const there = /^NSpid:.*\t(\d+)$/m.exec(status)?.[1] ?? "";
      await body({ there, here: container.init.pid });
    } finally {
      container.init.kill(9);
      await exitOf(container.init);
    }
  } finally {
    bundle.remove();
  }
}

security(
  "container-init cannot be overwritten through /proc/<pid>/exe, by nobody (CVE-2019-5736)",
  async () => {
    const before = image();
    await within(specOf("sleep 100"), async (room) => {
      await neighbour(room, {}, async ({ there }) => {
        const { output } = await room.exec({
          args: ["hostile", "overwrite", `/proc/${there}/exe`],
          capabilities: powers("CAP_SYS_PTRACE"),
        });
        assert.equal(lines(output), [
          "open-write: ETXTBSY",
          "open-truncate: ETXTBSY",
          "reopen-write: ETXTBSY",
        ]);
      });
    });
    // And when nobody executes it: the seals hold.
    const fd = openSync(`/proc/self/fd/${executable}`, "r+");
    try {
      assert.throws(() => writeSync(fd, "owned"), /EPERM/);
      assert.throws(() => openSync(`/proc/self/fd/${executable}`, "w"), /EPERM/);
    } finally {
      closeSync(fd);
    }
    assert.ok(image().equals(before));
  },
);

for (const [name, args] of [
  ["as the program", ["/proc/self/exe"]],
  ["as the interpreter of one", ["/etc/script"]],
] as const) {
  security(
    `container-init may be executed again through /proc/self/exe, ${name}, and does nothing`,
    async () => {
      const before = image();
      const prepare = ({ rootfs }: { rootfs: string }): void =>
        writeFileSync(join(rootfs, "etc/script"), "#!/proc/self/exe\n", { mode: 0o755 });
      const { status, output } = await run(specOf("", { process: { args } }), { prepare });
      assert.equal([status, output], [1, ""]);
      assert.ok(image().equals(before));
    },
  );
}

security("a created container shows nothing of itself to others in its pid namespace (CVE-2016-9962)", () =>
  within(specOf("sleep 100"), async (room) => {
    for (const user of [
      { uid: 0, gid: 0 },
      { uid: 1000, gid: 1000 },
    ]) {
      await neighbour(room, { process: { user } }, async ({ there, here }) => {
        const { output } = await room.exec({
          args: ["hostile", "peek", there],
          user,
          capabilities: powers(),
        });
        for (const line of lines(output)) assert.match(line, /: (EACCES|EPERM)$/, output);
        assert.is(lines(output).length, 8);
        // Not dumpable: its files in /proc are the machine's root's, and it leaves no core.
        assert.is(statSync(`/proc/${here}/environ`).uid, 0);
      });
    }
  }),
);

async function watched(spec: Spec, capabilities: ReturnType<typeof powers>): Promise<string> {
  return within(spec, async ({ exec, output }) => {
    await eventually(() => output().includes("ready"));
    assert.match(output(), /ready/);
    for (let round = 0; round < 40; round++)
      assert.is((await exec({ args: ["true"], capabilities })).status, 0);
    return output();
  });
}

for (const [name, linux, more, sight] of [
  ["without a user namespace", {}, [], []],
  ["in a user namespace, with all of its powers", mapped, ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"], []],
  // Nobody is kept from looking then; what there is to see must not be the runtime's memory or its executable.
  ["by one who may trace", {}, ["CAP_SYS_PTRACE"], ["reached /memfd:container-init (deleted)"]],
] as const) {
  security(
    `an exec cannot be looked into on its way in, ${name} (CVE-2016-9962, CVE-2019-5736)`,
    async () => {
      const capabilities = powers(...more);
      const spec = specOf("", { process: { args: ["hostile", "watch"], capabilities }, linux });
      const seen = new Set(lines(await watched(spec, powers())));
      assert.equal([...seen], ["ready", ...sight]);
    },
  );
}

security(
  "no descriptor of the runtime's reaches a program, not even one without O_CLOEXEC (CVE-2024-21626)",
  async () => {
    const directory = openSync("/", "r");
    const leaked = [200, 201];
    for (const fd of leaked) native.replaceFd(directory, fd);
    try {
      const { output } = await run(specOf("", { process: { args: ["hostile", "descriptors"] } }), {
        prepare: arm,
      });
      assert.is(output, "listed\n");
      await within(specOf("sleep 100"), async ({ exec }) => {
        assert.is((await exec({ args: ["hostile", "descriptors"] })).output, "listed\n");
      });
    } finally {
      for (const fd of [directory, ...leaked]) closeSync(fd);
    }
  },
);

security(
  "no inheritable or ambient capability that nobody asked for, for init and exec (CVE-2022-29162)",
  () => {
    const script = "grep -E 'Cap(Inh|Amb)' /proc/self/status";
    const none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n";
    return within(specOf(`${script}; sleep 100`, { linux: mapped }), async ({ exec, output }) => {
      await eventually(() => output().includes("Amb"));
      assert.is(output(), none);
      for (const uid of [0, 1000]) {
        const result = await exec({
          args: ["sh", "-c", script],
          user: { uid, gid: uid },
          capabilities: powers(),
        });
        assert.is(result.output, none);
      }
    });
  },
);

security("the runtime's groups stay outside, for init and exec (CVE-2022-2995)", async () => {
  const own = process.getgroups?.() ?? [];
  process.setgroups?.([4, 27]);
  try {
    await within(specOf("id -G; sleep 100"), async ({ exec, output }) => {
      await eventually(() => output() !== "");
      assert.is(output(), "0\n");
      const user = { uid: 1000, gid: 1000, additionalGids: [7] };
      assert.is((await exec({ args: ["id", "-G"], user })).output, "1000 7\n");
    });
  } finally {
    process.setgroups?.(own);
  }
});

security("the keys of a container are not to be had by another that guessed a name", async () => {
  const planter = specOf("", { process: { args: ["hostile", "plant", "_ses.c1"] } });
  await within(planter, async ({ output }) => {
    await eventually(() => /setperm|ENOSYS/.test(output()));
    // A kernel without keys has none to steal.
    if (output().includes("ENOSYS")) return;
    assert.is(output(), "add: done\nsetperm: done\n");
    const result = await run(specOf("", { process: { args: ["hostile", "find"] } }), { prepare: arm });
    assert.is(result.output, "request_key: ENOKEY\n");
  });
});

security("a device may be made inside and not be opened, unless a rule allows it", async () => {
  const cgroup = openCgroup({
    cgroupsPath: `/tandem-test-mknod-${process.pid}`,
    namespace: "n",
    id: "i",
    resources: undefined,
  });
  const bundle = createBundle();
  const disk = /^\s*(\d+)\s+(\d+)\s+\d+ \w+$/m.exec(readFileSync("/proc/partitions", "latin1"));
  const attempts = [
    `hostile device b ${disk?.[1] ?? 8} ${disk?.[2] ?? 0} /tmp/disk`,
    "hostile device c 1 1 /tmp/mem",
    "hostile device c 10 229 /tmp/fuse",
    "hostile device c 1 5 /tmp/zero",
  ];
  try {
    arm(bundle);
    const spec = specOf(attempts.join("; "), {
      process: { capabilities: powers("CAP_SYS_ADMIN", "CAP_SYS_RAWIO") },
    });
    const { container, output } = await create(bundle, spec, {}, cgroup);
    await container.init.start();
    await exitOf(container.init);
    assert.equal(lines(output()), [
      ...Array.from({ length: 3 }, () => ["mknod: done", "open: EPERM"]).flat(),
      "mknod: done",
      "open: done",
    ]);
  } finally {
    await cgroup.remove();
    bundle.remove();
  }
});

security.run();
