/** What is mounted for a container, or by it, where the machine's own mounts are shared, as systemd leaves them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../scripts/private-containerd/command.ts";
import { allCapabilities, lines } from "./linux-container.ts";
import { OciCommands } from "./oci-commands.ts";

const propagation = suite("tandem-oci: propagation of mounts");
let oci: OciCommands;
/** It holds a mount namespace that stands for the machine's: every mount in it is shared, but not with this process's. */
let machine: ChildProcess;
/** A file system of its own there: the one that a rootfs is on is shared with no container (pivot_root(2)). */
let volume: string;

propagation.before(async () => {
  oci = new OciCommands();
  volume = join(oci.directory, "volume");
  mkdirSync(volume);
  const mounts = `mount --make-rshared / && mount -t tmpfs volume ${volume} && mkdir ${volume}/sub`;
  const script = `${mounts} && echo ready && exec sleep 1000`;
  machine = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", script]);
  if (machine.stdout === null) throw new Error("no namespace");
  await once(machine.stdout, "data");
});
propagation.after(async () => {
  await oci[Symbol.asyncDispose]();
  machine.kill("SIGKILL");
});

const mountNamespace = (): string => `--mount=/proc/${machine.pid}/ns/mnt`;

/** Mount points there, in their order. */
function mountPoints(): string[] {
  return lines(readFileSync(`/proc/${machine.pid}/mountinfo`, "utf8")).map(
    (line) => line.split(" ")[4] ?? "",
  );
}

type Change = NonNullable<Parameters<OciCommands["bundle"]>[1]>;
const others = ["pid", "uts", "ipc"].map((type) => ({ type }));
const namespaces = [...others, { type: "mount" }];
const proc = { destination: "/proc", type: "proc", source: "proc" };
const mapping = [{ containerID: 0, hostID: 0, size: 65536 }];
const mappings = { uidMappings: mapping, gidMappings: mapping };
const userNamespace = { namespaces: [...namespaces, { type: "user" }], ...mappings };

/** Runs a container there to its end, and returns what it wrote. */
async function runThere(bundle: string): Promise<string> {
  const { status, stdout, stderr } = await oci.shell(`$OCI run --bundle ${bundle} p1`, [
    "nsenter",
    mountNamespace(),
  ]);
  assert.is(status, 0, stderr);
  return stdout;
}

function mightyBundle(script: string, change: Change): string {
  const names = ["effective", "bounding", "permitted"] as const;
  const all = [...(allCapabilities.bounding ?? []), "CAP_SYS_ADMIN"];
  const capabilities = Object.fromEntries(names.map((name) => [name, all]));
  return oci.bundle(script, { hostname: "", process: { capabilities }, ...change });
}

const mountsBelow = "mount -t tmpfs inner /data/sub && grep -c ' /data/sub ' /proc/self/mountinfo";

for (const [name, bind, linux, reaches] of [
  ["as a rule", {}, { namespaces }, false],
  ["from a user namespace", {}, userNamespace, false],
  [
    "from a user namespace, whatever is asked for",
    { options: ["rbind", "rshared"] },
    { ...userNamespace, rootfsPropagation: "rshared" },
    false,
  ],
  ["from an id-mapped mount", mappings, { namespaces }, false],
  ["with rootfsPropagation shared", {}, { namespaces, rootfsPropagation: "shared" }, true],
  [
    "from an id-mapped mount with rootfsPropagation shared",
    mappings,
    { namespaces, rootfsPropagation: "shared" },
    true,
  ],
] as const)
  propagation(
    `what a container mounts below a bind ${reaches ? "reaches" : "does not reach"} the machine ${name}`,
    async () => {
      const mount = { destination: "/data", type: "bind", source: volume, options: ["rbind"], ...bind };
      const before = mountPoints();
      const output = await runThere(mightyBundle(mountsBelow, { mounts: [proc, mount], linux }));
      const after = mountPoints();
      if (reaches) await run("nsenter", [mountNamespace(), "umount", `${volume}/sub`]);
      assert.is(output, "1\n");
      assert.equal(after, [...before, ...(reaches ? [`${volume}/sub`] : [])]);
      assert.equal(mountPoints(), before);
    },
  );

propagation(
  "without a mount namespace of its own a container's mounts are at their places only",
  async () => {
    const before = mountPoints();
    const bundle = mightyBundle("grep -c '/sub tmpfs ' /proc/self/mounts", {
      mounts: [
        proc,
        { destination: "/data", type: "bind", source: volume, options: ["rbind"] },
        { destination: "/data/sub", type: "tmpfs", source: "tmpfs" },
      ],
      linux: { namespaces: others },
    });
    assert.is(await runThere(bundle), "1\n");
    assert.equal(mountPoints(), before);
  },
);

for (const [name, linux] of [
  ["with rootfsPropagation shared", { namespaces, rootfsPropagation: "shared" }],
  [
    "in a cgroup namespace",
    { namespaces: [...namespaces, { type: "cgroup" }], rootfsPropagation: "rshared" },
  ],
  ["without a mount namespace of its own", { namespaces: others }],
] as const)
  for (const options of [["rbind"], ["bind"], ["rbind", "rshared"]])
    propagation(
      `a cgroup mount on the machine's /sys (${options}) leaves the machine its own ${name}`,
      async () => {
        const before = mountPoints();
        const bundle = mightyBundle(
          "wc -l </proc/self/cgroup; find /sys/fs/cgroup -name cgroup.procs -exec grep -lx 1 {} +",
          {
            mounts: [
              proc,
              { destination: "/sys", type: "bind", source: "/sys", options },
              { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
            ],
            linux: { ...linux },
          },
        );
        const [hierarchies = "", ...own] = lines(await runThere(bundle));
        assert.is(own.length, Number(hierarchies), own.join(" "));
        assert.equal(mountPoints(), before);
      },
    );

propagation.run();
