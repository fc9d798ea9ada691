import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LinuxResources } from "../../../src/bundle/resources.ts";
import { resourceSettings } from "../../../src/isolation/cgroup/apply.ts";
import { annotatedProperties } from "../../../src/isolation/systemd/annotations.ts";
import { deviceProperties, driversOf } from "../../../src/isolation/systemd/device-properties.ts";
import type { UnitProperty } from "../../../src/isolation/systemd/manager.ts";
import { knownTo, needsVersion, unitProperties } from "../../../src/isolation/systemd/properties.ts";
import { scopeName, sliceDirectory } from "../../../src/isolation/systemd/unit-name.ts";

const unit = suite("systemd units");
const context = { namespace: "k8s.io", id: "c1", kind: "system" } as const;
const infinity = 0xffff_ffff_ffff_ffffn;

unit("a cgroupsPath is slice, prefix and name", () => {
  assert.equal(scopeName("kubepods-pod1.slice:cri-containerd:abc", context), {
    slice: "kubepods-pod1.slice",
    unit: "cri-containerd-abc.scope",
  });
  assert.equal(scopeName(":docker:abc", context), { slice: "system.slice", unit: "docker-abc.scope" });
  assert.equal(scopeName("-.slice::abc", context), { slice: "-.slice", unit: "abc.scope" });
  assert.equal(scopeName(undefined, context), { slice: "system.slice", unit: "k8s.io-c1.scope" });
  assert.is(scopeName(undefined, { ...context, kind: "user" }).slice, "user.slice");
});

unit("what is no unit name is refused", () => {
  for (const path of [
    "/a/b",
    "a.slice:b",
    "a.slice:b:",
    "a.slice:b:c:d",
    "a:b:c",
    "../a.slice:b:c",
    "a--b.slice:b:c",
    "-a.slice:b:c",
    "a-.slice:b:c",
    "a.slice:b:../c",
    "a.slice:b:c d",
    "a.slice:b/c:d",
    `a.slice:b:${"c".repeat(255)}`,
  ]) {
    assert.throws(
      () => scopeName(path, context),
      /^linux\.cgroupsPath .*(form slice:prefix:name|no name of)/,
      path,
    );
  }
});

unit("a slice's name is its path", () => {
  assert.is(
    sliceDirectory("kubepods-besteffort-pod1_2.slice"),
    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice",
  );
  assert.is(sliceDirectory("system.slice"), "/system.slice");
  assert.is(sliceDirectory("-.slice"), "");
});

const plain = (properties: readonly UnitProperty[]) =>
  Object.fromEntries(properties.map(([name, { value }]) => [name, value]));

function limits(version: 1 | 2, resources: LinuxResources): Record<string, unknown> {
  return plain(unitProperties(resourceSettings(resources, version, undefined)));
}

unit("systemd learns the limits that it has properties for, on v2", () => {
  const resources: LinuxResources = {
    memory: { limit: 1 << 20, reservation: 1 << 19, swap: 3 << 19 },
    cpu: { shares: 1024, quota: 15_001, period: 100_000, cpus: "0,2-3,9", mems: "0" },
    pids: { limit: 7 },
    blockIO: { weight: 10 },
    unified: { "memory.high": "max", "memory.oom.group": "1" },
  };
  assert.equal(limits(2, resources), {
    MemoryMax: 1n << 20n,
    MemoryLow: 1n << 19n,
    MemorySwapMax: 1n << 19n,
    MemoryHigh: infinity,
    CPUWeight: 100n,
    // 15.001 % is 16 to systemd; the cgroup gets the exact value.
    CPUQuotaPerSecUSec: 160_000n,
    AllowedCPUs: [0b1101, 0b10],
    AllowedMemoryNodes: [1],
    TasksMax: 7n,
    IOWeight: 1n,
  });
});

unit("systemd learns the limits that it has properties for, on v1", () => {
  assert.equal(
    limits(1, {
      memory: { limit: 1 << 20 },
      cpu: { shares: 512, quota: 50_000, period: 200_000 },
      pids: { limit: -1 },
      blockIO: { weight: 500 },
    }),
    {
      MemoryLimit: 1n << 20n,
      CPUShares: 512n,
      CPUQuotaPerSecUSec: 250_000n,
      CPUQuotaPeriodUSec: 200_000n,
      TasksMax: infinity,
      BlockIOWeight: 500n,
    },
  );
  assert.is(limits(1, { cpu: { quota: -1 } })["CPUQuotaPerSecUSec"], infinity);
});

unit("an older systemd is not asked for what it does not know", () => {
  const properties = unitProperties(
    resourceSettings({ cpu: { cpus: "0", quota: 1000, period: 2000 } }, 2, undefined),
  );
  assert.ok(needsVersion(properties));
  assert.not.ok(needsVersion(unitProperties(resourceSettings({ pids: { limit: 1 } }, 2, undefined))));
  assert.equal(plain(knownTo(239, properties)), { CPUQuotaPerSecUSec: 500_000n });
  assert.equal(Object.keys(plain(knownTo(242, properties))), ["CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec"]);
  assert.is(knownTo(252, properties).length, 3);
});

const drivers = driversOf(
  "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n259 blkext\n  1 ramdisk\n",
);

unit("device rules become a list that systemd keeps, on v1", () => {
  const [policy, empty, list] = deviceProperties(
    [
      { allow: false, access: "rwm" },
      { allow: true, type: "b", major: 259, access: "r" },
      { allow: true, type: "c", major: 10, minor: 200, access: "rwm" },
    ],
    drivers,
  );
  assert.equal(policy, ["DevicePolicy", { signature: "s", value: "strict" }]);
  assert.equal(empty?.[1].value, []);
  const entries = list?.[1].value as [string, string][];
  for (const entry of [
    ["block-blkext", "r"],
    ["/dev/char/10:200", "rwm"],
    ["/dev/char/1:3", "rwm"],
    ["char-pts", "rwm"],
    ["char-*", "m"],
  ])
    assert.ok(
      entries.some(([name, access]) => name === entry[0] && access === entry[1]),
      entry.join(),
    );
});

unit("all devices but some are all of them to systemd", () => {
  const rules = [
    { allow: true, access: "rwm" },
    { allow: false, type: "c", major: 1, minor: 11, access: "rwm" },
  ];
  assert.equal(plain(deviceProperties(rules, drivers)), { DevicePolicy: "auto", DeviceAllow: [] });
});

unit("annotations are properties, in GVariant's text format", () => {
  assert.equal(
    annotatedProperties({
      "org.systemd.property.CollectMode": "'inactive'",
      "org.systemd.property.TimeoutStopUSec": "uint64 5",
      "org.systemd.property.RuntimeMaxSec": "3",
      "org.systemd.property.DefaultDependencies": "true",
      "org.systemd.property.After": '[\'a.service\', "b\\"c"]',
      "org.systemd.property.IOReadBandwidthMax": "[('/dev/sda', uint64 9), ('/dev/sdb', uint64 10)]",
      "org.example.other": "not read",
    }),
    [
      ["CollectMode", { signature: "s", value: "inactive" }],
      ["TimeoutStopUSec", { signature: "t", value: 5n }],
      ["RuntimeMaxUSec", { signature: "t", value: 3_000_000n }],
      ["DefaultDependencies", { signature: "b", value: true }],
      ["After", { signature: "as", value: ["a.service", 'b"c'] }],
      [
        "IOReadBandwidthMax",
        {
          signature: "a(st)",
          value: [
            ["/dev/sda", 9n],
            ["/dev/sdb", 10n],
          ],
        },
      ],
    ],
  );
});

unit("an annotation that is no property is refused by its name", () => {
  for (const [name, value] of [
    ["Description", "unquoted"],
    ["Description", "'open"],
    ["Description", "'a' 'b'"],
    ["Description", ""],
    ["TasksMax", "int32 2147483648"],
    ["TasksMax", "uint64 -1"],
    ["TasksMax", "string 5"],
    ["After", "['a', 5]"],
    ["After", "['a'"],
    ["RuntimeMaxSec", "'soon'"],
    ["lower", "true"],
    ["With-dash", "true"],
  ] as const) {
    const key = `org.systemd.property.${name}`;
    assert.throws(
      () => annotatedProperties({ [key]: value }),
      (error: Error) => error.message.startsWith(`annotation ${key}: `) || assert.unreachable(error.message),
      `${name} ${value}`,
    );
  }
});

unit.run();
