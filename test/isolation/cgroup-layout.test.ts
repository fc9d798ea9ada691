import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseLayout } from "../../src/isolation/cgroup/layout.ts";
import { cgroupPaths, cgroupPathsOf } from "../../src/isolation/cgroup/paths.ts";

const layout = suite("cgroup layout");

const v1Mounts = `
30 1 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`;
const v1Own = "12:cpuacct,cpu:/user\n4:memory:/user/memory\n1:name=systemd:/init.scope\n";
const unified = "\n34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate";
const v2Mount = "\n30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";

const request = { cgroupsPath: undefined, namespace: "k8s.io", id: "c1" };

layout("tells v1, hybrid and v2 apart", () => {
  assert.is(parseLayout(v1Mounts, v1Own).mode, "v1");
  assert.is(parseLayout(v1Mounts + unified, `${v1Own}0::/\n`).mode, "hybrid");
  assert.is(parseLayout(v2Mount, "0::/init\n").mode, "v2");
});

layout("takes v2 with systemd's named hierarchy beside it for v2", () => {
  const mounts =
    "\n31 1 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd" +
    v2Mount.replace("/sys/fs/cgroup", "/cg2");
  assert.is(parseLayout(mounts, "1:name=systemd:/\n0::/\n").mode, "v2");
});

layout("knows co-mounted controllers, in whatever order the kernel writes them", () => {
  const { hierarchies } = parseLayout(v1Mounts, v1Own);
  assert.equal(
    hierarchies.map(({ controllers }) => controllers),
    [["name=systemd"], ["cpuacct", "cpu"], ["memory"]],
  );
  assert.is(hierarchies[1]?.mountPoint, "/sys/fs/cgroup/cpu,cpuacct");
});

layout("sees a container's own cgroup through a mount that shows only a part", () => {
  const mounts = "33 30 0:29 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
  const [inside] = parseLayout(mounts, "4:memory:/docker/abc/child\n").hierarchies;
  assert.is(inside?.ownDirectory, "/sys/fs/cgroup/memory/child");
  const [outside] = parseLayout(mounts, "4:memory:/elsewhere\n").hierarchies;
  assert.is(outside?.ownDirectory, undefined);
  const [above] = parseLayout(mounts.replace("/docker/abc", "/../.."), "4:memory:/\n").hierarchies;
  assert.is(above?.ownDirectory, undefined);
});

layout("does not see mounts that others hide", () => {
  const over = "\n40 30 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
  const { mode, hierarchies } = parseLayout(v1Mounts + over, `${v1Own}0::/\n`);
  assert.is(mode, "v2");
  assert.is(hierarchies.length, 1);
});

layout("takes the first of several mounts of a hierarchy, and reads octal escapes", () => {
  const again = "\n50 1 0:29 / /mnt/my\\040memory rw - cgroup cgroup rw,memory";
  assert.is(parseLayout(v1Mounts + again, v1Own).hierarchies.length, 3);
  assert.is(parseLayout(again, v1Own).hierarchies[0]?.mountPoint, "/mnt/my memory");
});

layout("refuses a machine without cgroups", () => {
  assert.throws(() => parseLayout("", ""), /no cgroup file system is mounted/);
});

layout("puts a container below each mount, by default at /<namespace>/<id>", () => {
  const paths = cgroupPaths(parseLayout(v1Mounts, v1Own), request);
  assert.equal(paths.all, [
    "/sys/fs/cgroup/systemd/k8s.io/c1",
    "/sys/fs/cgroup/cpu,cpuacct/k8s.io/c1",
    "/sys/fs/cgroup/memory/k8s.io/c1",
  ]);
  assert.is(paths.v1.get("cpuacct"), paths.v1.get("cpu"));
  assert.is(cgroupPaths(parseLayout(v2Mount, "0::/\n"), request).unified, "/sys/fs/cgroup/k8s.io/c1");
});

layout("takes an absolute path from the mount and a relative one from its own cgroup", () => {
  const v1 = parseLayout(v1Mounts, v1Own);
  const memory = (cgroupsPath: string) => cgroupPaths(v1, { ...request, cgroupsPath }).v1.get("memory");
  assert.is(memory("/kubepods/pod1/c"), "/sys/fs/cgroup/memory/kubepods/pod1/c");
  assert.is(memory("a/b"), "/sys/fs/cgroup/memory/user/memory/a/b");
});

layout("refuses paths that lead elsewhere", () => {
  const v1 = parseLayout(v1Mounts, v1Own);
  for (const cgroupsPath of ["/a/../../etc", "..", "a/..", "/", ".", "//"]) {
    assert.throws(
      () => cgroupPaths(v1, { ...request, cgroupsPath }),
      /not a path of a container's own/,
      cgroupsPath,
    );
  }
  assert.throws(() => cgroupPaths(v1, { ...request, id: "../x" }), /not a path of a container's own/);
});

layout("finds the same paths again from recorded directories", () => {
  const v1 = parseLayout(v1Mounts + unified, `${v1Own}0::/\n`);
  const paths = cgroupPaths(v1, request);
  assert.equal(cgroupPathsOf(v1, paths.all), paths);
});

layout.run();
