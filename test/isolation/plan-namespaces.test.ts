import { suite } from "uvu";
import * as assert from "uvu/assert";
import { planContainer } from "../../src/isolation/plan.ts";
import { context, ops, refusal, specWith, stepsOf } from "./planned.ts";

const plan = suite("plan: namespaces");

plan("in a user namespace devices are bound and sources are opened by the shim", () => {
  const map = [{ containerID: 0, hostID: 1000, size: 10 }];
  const spec = specWith({
    mounts: [
      { destination: "/a", type: "bind", source: "a", options: ["rbind"] },
      { destination: "/b", type: "bind", source: "/b", options: ["bind", "idmap"] },
    ],
    linux: { namespaces: [{ type: "mount" }, { type: "user" }], uidMappings: map, gidMappings: map },
  });
  const result = planContainer(spec, context);
  assert.equal(result.maps, { uids: "0 1000 10\n", gids: "0 1000 10\n" });
  assert.equal(
    result.sources.map(({ from, idmap }) => ({ ...from, idmap })),
    [
      { path: "/bundle/a", recursive: true, propagation: 0x80000, idmap: undefined },
      { path: "/b", recursive: false, propagation: 0x80000, idmap: "container" },
    ],
  );
  const steps = result.steps({ creating: "", created: "" });
  assert.is(steps[0]?.op, "becomeRoot");
  const nodes = steps.filter((step) => step.op === "mknod");
  assert.ok(nodes.length > 0 && nodes.every(({ bind }) => bind));
});

plan("a namespace given by path that is the runtime's own is not the container's to change", () => {
  const namespaces = [
    { type: "mount" },
    { type: "uts", path: "/proc/1/ns/uts" },
    { type: "network", path: "/proc/1/ns/net" },
  ];
  const runtimes = { isRuntimes: () => true };
  const sysctl = { "net.ipv4.ip_forward": "1" };
  assert.match(
    refusal({ linux: { namespaces }, hostname: "h" }, runtimes),
    /hostname: needs a uts namespace/,
  );
  assert.match(refusal({ linux: { namespaces, sysctl } }, runtimes), /ip_forward: needs a network namespace/);
  assert.ok(ops(stepsOf({ linux: { namespaces, sysctl }, hostname: "h" })).includes("sysctl"));
});

plan("namespaces are made at once, but cgroup and time in their turn", () => {
  const spec = specWith({
    linux: {
      namespaces: ["mount", "cgroup", "time", "pid"].map((type) => ({ type })),
      timeOffsets: { monotonic: { secs: 5 } },
    },
  });
  const result = planContainer(spec, context);
  assert.is(result.namespaces.flags, 0x20020000);
  const time = result.steps({ creating: "", created: "" }).find((step) => step.op === "newTime");
  assert.equal(time?.op === "newTime" ? time.offsets : undefined, "monotonic 5 0\n");
});

const mapping = [{ containerID: 0, hostID: 1000, size: 1 }];
const inUserNamespace = {
  namespaces: ["mount", "user"].map((type) => ({ type })),
  uidMappings: mapping,
  gidMappings: mapping,
};
const unprivileged = { rights: { root: false, machineRoot: false } };

plan("who is not root needs a user namespace and opens nothing for container-init", () => {
  assert.match(refusal({}, unprivileged), "linux.namespaces: who is not root needs a user namespace");
  const mounts = [{ destination: "/x", type: "bind", source: "/from", options: ["bind"] }];
  const planned = planContainer(specWith({ linux: inUserNamespace, mounts }), {
    ...context,
    ...unprivileged,
  });
  assert.equal(planned.sources, []);
  const steps = planned.steps({ creating: "", created: "" });
  const groups = steps.find(({ op }) => op === "user");
  assert.is(groups?.op === "user" ? groups.mayBeDenied : undefined, true);
  const mapped = [{ ...mounts[0], options: ["bind", "idmap"] }];
  assert.match(
    refusal({ linux: inUserNamespace, mounts: mapped }, unprivileged),
    "mounts[0] /x: only root can map the owners of a mount",
  );
});

plan("groups that are asked for must not be denied", () => {
  const process = { user: { uid: 0, gid: 0, additionalGids: [0] } };
  const step = stepsOf({ linux: inUserNamespace, process }, unprivileged).find(({ op }) => op === "user");
  assert.is(step?.op === "user" ? step.mayBeDenied : undefined, false);
});

plan("root of a user namespace, as under podman, cannot make devices either: they are bound", () => {
  const steps = stepsOf({}, { rights: { root: true, machineRoot: false } });
  const nodes = steps.filter((step) => step.op === "mknod");
  assert.ok(nodes.length > 0 && nodes.every(({ bind }) => bind));
});

plan.run();
