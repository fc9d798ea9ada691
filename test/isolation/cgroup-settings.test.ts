import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LinuxResources } from "../../src/bundle/resources.ts";
import { checkResources } from "../../src/isolation/cgroup/check-resources.ts";
import { v1Settings } from "../../src/isolation/cgroup/v1-settings.ts";
import { ioWeightFromBlkio, v2Settings, weightFromShares } from "../../src/isolation/cgroup/v2-settings.ts";

const settings = suite("cgroup settings");

/** A cgroup with these files beside those that are always there. */
function filesOf(content: Record<string, string>) {
  return {
    exists: (_: string, file: string) => Object.hasOwn(content, file),
    read: (_: string, file: string) => content[file] ?? assert.unreachable(file) ?? "",
  };
}

const v1 = (resources: LinuxResources, files: Record<string, string> = {}) =>
  v1Settings(resources, filesOf(files)).map(({ file, data }) => `${file} ${data}`);
const v2 = (resources: LinuxResources, files: Record<string, string> = {}) =>
  v2Settings(resources, filesOf(files)).map(({ file, data }) => `${file} ${data}`);

function refuses(made: () => unknown, property: string): void {
  assert.throws(
    made,
    (error: Error) =>
      error.message.startsWith(`linux.resources.${property}: `) || assert.unreachable(error.message),
  );
}

settings("writes nothing for what is unset, as zero or by absence", () => {
  const empty = {
    memory: { limit: 0, swap: 0, disableOOMKiller: false },
    cpu: { shares: 0, quota: 0, cpus: "" },
    blockIO: { weight: 0 },
  };
  assert.equal(v1(empty), []);
  assert.equal(v2(empty), []);
  assert.equal(v1({}), []);
});

settings("writes every digit of a limit that a double holds", () => {
  assert.equal(v1({ memory: { limit: JSON.parse("9223372036854771712") } }), [
    "memory.limit_in_bytes 9223372036854771712",
  ]);
  refuses(() => v1({ memory: { limit: 1.5 } }), "memory.limit");
});

settings("turns each property of memory into v1's file", () => {
  assert.equal(
    v1({
      memory: {
        limit: 1,
        swap: 2,
        reservation: 3,
        kernelTCP: 4,
        swappiness: 0,
        disableOOMKiller: true,
        useHierarchy: true,
      },
    }),
    [
      "memory.use_hierarchy 1",
      "memory.limit_in_bytes 1",
      "memory.memsw.limit_in_bytes 2",
      "memory.soft_limit_in_bytes 3",
      "memory.kmem.tcp.limit_in_bytes 4",
      "memory.oom_control 1",
      "memory.swappiness 0",
    ],
  );
  assert.equal(v1({ memory: { limit: -1 } }), ["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes -1"]);
  refuses(() => v1({ memory: { swappiness: 101 } }), "memory.swappiness");
});

settings("turns each property of cpu into v1's file", () => {
  const cpu = {
    shares: 512,
    quota: -1,
    period: 3,
    burst: 4,
    realtimeRuntime: 5,
    realtimePeriod: 6,
    cpus: "0-1",
    mems: "0",
    idle: 1,
  };
  assert.equal(v1({ cpu }), [
    "cpu.shares 512",
    "cpu.cfs_period_us 3",
    "cpu.cfs_quota_us -1",
    "cpu.cfs_burst_us 4",
    "cpu.rt_period_us 6",
    "cpu.rt_runtime_us 5",
    "cpu.idle 1",
    "cpuset.cpus 0-1",
    "cpuset.mems 0",
  ]);
  refuses(() => v1({ cpu: { shares: 1 } }), "cpu.shares");
});

settings("turns pids, block I/O, huge pages, network and rdma into v1's files", () => {
  assert.equal(v1({ pids: { limit: -1 } }), ["pids.max max"]);
  assert.equal(v1({ pids: { limit: 0 } }), ["pids.max 1"]);
  assert.equal(v2({ pids: { limit: 0 } }), ["pids.max 1"]);
  const device = { major: 8, minor: 16 };
  assert.equal(
    v1({
      blockIO: {
        weight: 20,
        leafWeight: 30,
        weightDevice: [{ ...device, weight: 40, leafWeight: 50 }],
        throttleReadBpsDevice: [{ ...device, rate: 60 }],
        throttleWriteIOPSDevice: [{ ...device, rate: 70 }],
      },
    }),
    [
      "blkio.weight 20",
      "blkio.leaf_weight 30",
      "blkio.weight_device 8:16 40",
      "blkio.leaf_weight_device 8:16 50",
      "blkio.throttle.read_bps_device 8:16 60",
      "blkio.throttle.write_iops_device 8:16 70",
    ],
  );
  assert.equal(v1({ hugepageLimits: [{ pageSize: "2MB", limit: 0 }] }), ["hugetlb.2MB.limit_in_bytes 0"]);
  assert.equal(v1({ network: { classID: 1048577, priorities: [{ name: "eth0", priority: 5 }] } }), [
    "net_cls.classid 1048577",
    "net_prio.ifpriomap eth0 5",
  ]);
  assert.equal(v1({ rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } } }), [
    "rdma.max mlx5_1 hca_handle=3 hca_object=10000",
  ]);
});

settings("turns memory into v2's files, swap without memory", () => {
  assert.equal(v2({ memory: { limit: 100, swap: 150, reservation: 50 } }), [
    "memory.swap.max 50",
    "memory.max 100",
    "memory.low 50",
  ]);
  assert.equal(v2({ memory: { limit: 100, swap: 100 } }), ["memory.swap.max 0", "memory.max 100"]);
  assert.equal(v2({ memory: { limit: -1 } }), ["memory.swap.max max", "memory.max max"]);
  assert.equal(v2({ memory: { limit: 100, swap: -1 } }), ["memory.swap.max max", "memory.max 100"]);
  refuses(() => v2({ memory: { swap: 100 } }), "memory.swap");
  refuses(() => v2({ memory: { limit: 100, swap: 50 } }), "memory.swap");
});

settings("turns cpu into v2's files", () => {
  assert.equal(v2({ cpu: { shares: 1024, quota: 50, period: 100, burst: 7, cpus: "0" } }), [
    "cpu.weight 100",
    "cpu.max 50 100",
    "cpu.max.burst 7",
    "cpuset.cpus 0",
  ]);
  assert.equal(v2({ cpu: { quota: -1 } }), ["cpu.max max"]);
  assert.equal(v2({ cpu: { period: 200 } }, { "cpu.max": "50 100" }), ["cpu.max 50 200"]);
});

settings("maps shares to weights through 2, 1024 and 262144", () => {
  assert.equal([2, 1024, 262144].map(weightFromShares), [1, 100, 10000]);
  let before = 0;
  for (let shares = 2; shares <= 262144; shares *= 2) {
    const weight = weightFromShares(shares);
    assert.ok(weight >= before && weight >= 1 && weight <= 10000);
    before = weight;
  }
});

settings("turns block I/O, huge pages and unified into v2's files", () => {
  assert.equal([10, 1000].map(ioWeightFromBlkio), [1, 10000]);
  const device = { major: 8, minor: 16 };
  assert.equal(
    v2({
      blockIO: {
        weight: 10,
        weightDevice: [{ ...device, weight: 1000 }],
        throttleWriteBpsDevice: [{ ...device, rate: 60 }],
      },
    }),
    ["io.weight default 1", "io.weight 8:16 10000", "io.max 8:16 wbps=60"],
  );
  assert.equal(v2({ hugepageLimits: [{ pageSize: "1GB", limit: 5 }] }), ["hugetlb.1GB.max 5"]);
  assert.equal(v2({ unified: { "memory.high": "1000", "cgroup.max.depth": "3" } }), [
    "memory.high 1000",
    "cgroup.max.depth 3",
  ]);
});

settings(
  "uses BFQ's files and scale where they are, and limits reservations of huge pages where it can",
  () => {
    assert.equal(v1({ blockIO: { weight: 20 } }, { "blkio.bfq.weight": "" }), ["blkio.bfq.weight 20"]);
    assert.equal(v2({ blockIO: { weight: 20 } }, { "io.bfq.weight": "" }), ["io.bfq.weight default 20"]);
    const hugepageLimits = [{ pageSize: "2MB", limit: 7 }];
    assert.equal(v2({ hugepageLimits }, { "hugetlb.2MB.rsvd.max": "" }), [
      "hugetlb.2MB.max 7",
      "hugetlb.2MB.rsvd.max 7",
    ]);
  },
);

settings("refuses by name what v2 does not have", () => {
  refuses(() => v2({ cpu: { realtimeRuntime: 1 } }), "cpu.realtimeRuntime");
  refuses(() => v2({ memory: { kernel: 1 } }), "memory.kernel");
  refuses(() => v2({ memory: { swappiness: 1 } }), "memory.swappiness");
  refuses(() => v2({ memory: { disableOOMKiller: true } }), "memory.disableOOMKiller");
  refuses(() => v2({ network: { classID: 1 } }), "network.classID");
  refuses(() => v2({ blockIO: { leafWeight: 1 } }), "blockIO.leafWeight");
});

settings("lets no name of the spec become a path", () => {
  refuses(() => v2({ unified: { "../cpu.max": "1" } }), "unified");
  refuses(() => v1({ hugepageLimits: [{ pageSize: "../2MB", limit: 1 }] }), "hugepageLimits[0].pageSize");
  refuses(() => v1({ rdma: { "a b": {} } }), "rdma");
  refuses(() => v1({ unified: { "memory.high": "1" } }), "unified");
});

settings("refuses values of the wrong type by name, and lets right ones through", () => {
  const check = (json: string) => () => checkResources(JSON.parse(json));
  const right =
    '{"memory":{"limit":-1},"cpu":{"cpus":"0"},"devices":[{"allow":false,"access":"rwm"}],"unified":{"memory.high":"1"}}';
  assert.equal(check(right)(), JSON.parse(right));
  assert.throws(check('{"memory":{"limit":"64M"}}'), /^linux\.resources\.memory\.limit/);
  assert.throws(check('{"devices":{}}'), /^linux\.resources\.devices/);
  assert.throws(check('{"cpu":{"cpus":3}}'), /^linux\.resources\.cpu\.cpus/);
  assert.throws(
    check('{"blockIO":{"throttleReadBpsDevice":[{"major":8}]}}'),
    /^linux\.resources\.blockIO\.throttleReadBpsDevice/,
  );
});

settings.run();
