import { suite } from "uvu";
import * as assert from "uvu/assert";
import { externalMounts } from "../../src/criu/external-mounts.ts";
import { parseMountInfo } from "../../src/criu/mountinfo.ts";

const mounts = suite("mounts that criu is told of");

const machine = parseMountInfo(
  [
    "20 1 254:0 / / rw - ext4 /dev/vda rw",
    "21 20 0:20 / /sys rw - sysfs sysfs rw",
    "22 21 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
    "23 20 0:5 / /dev rw - devtmpfs devtmpfs rw",
    "24 20 0:40 / /srv/my\\040share rw - tmpfs tmpfs rw",
  ].join("\n"),
);

const container = (...lines: string[]) =>
  parseMountInfo(["50 49 254:0 /bundle/rootfs / rw - ext4 /dev/vda rw", ...lines].join("\n"));

mounts("are those of file systems that the machine has, with the way to them there", () => {
  assert.equal(
    externalMounts(
      container(
        "51 50 0:90 / /proc rw - proc proc rw",
        "52 50 0:91 / /dev rw - tmpfs tmpfs rw",
        "53 50 254:0 /var/lib/data /data rw - ext4 /dev/vda rw",
        "54 50 0:40 /below /my\\040share rw - tmpfs tmpfs rw",
        "55 51 0:5 /null /proc/kcore rw - devtmpfs devtmpfs rw",
      ),
      machine,
      false,
    ),
    [
      { mountPoint: "/data", source: "/var/lib/data" },
      { mountPoint: "/my share", source: "/srv/my share/below" },
      { mountPoint: "/proc/kcore", source: "/dev/null" },
    ],
  );
});

mounts("are not the container's own, nor a bind of its own root", () => {
  assert.equal(
    externalMounts(
      container(
        "51 50 0:90 /sys /proc/sys ro - proc proc rw",
        "52 50 254:0 /bundle/rootfs/etc /etc ro - ext4 /dev/vda rw",
        "53 50 0:20 / /sys ro - sysfs sysfs rw",
      ),
      machine,
      false,
    ),
    [],
  );
});

mounts("a cgroup is one of them unless the container has a namespace for it", () => {
  const inside = container("51 50 0:30 /c1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids");
  assert.equal(externalMounts(inside, machine, false), [
    { mountPoint: "/sys/fs/cgroup/pids", source: "/sys/fs/cgroup/pids/c1" },
  ]);
  assert.equal(externalMounts(inside, machine, true), []);
});

mounts.run();
