import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SpecIntelRdt } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { openIntelRdt, resctrlMount } from "../../src/isolation/intel-rdt.ts";

const rdt = suite("intelRdt");

/** A directory tree like resctrl's, but that nothing appears in it by itself: `tasks` and `schemata` are plain files. */
function onTree(work: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), "tandem-resctrl-"));
  mkdirSync(join(root, "mon_groups"));
  mkdirSync(join(root, "shared/mon_groups"), { recursive: true });
  writeFileSync(join(root, "shared/schemata"), "    MB:0= 20;1=  70\n    L3:0=7f0;1=01f\n");
  try {
    work(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function refusal(config: SpecIntelRdt, root: string | undefined): string {
  try {
    openIntelRdt(config, "c1", root);
  } catch (error) {
    assert.instance(error, TandemError);
    return `${(error as TandemError).code} ${(error as TandemError).message}`;
  }
  throw new Error("was expected to be refused");
}

rdt(
  "without a class the container gets one of its own, with its schemata in the order of the specification",
  () => {
    onTree((root) => {
      const config = { schemata: ["L2:0=f", "L3:0=1"], memBwSchema: "MB:0=20", l3CacheSchema: "L3:0=7f" };
      const result = openIntelRdt(config, "c1", root);
      const directory = join(root, "c1");
      assert.equal(result, { ownDirs: [directory], taskFiles: [join(directory, "tasks")] });
      assert.is(readFileSync(join(directory, "schemata"), "utf8"), "L3:0=7f\nMB:0=20\nL2:0=f\nL3:0=1\n");
    });
  },
);

rdt("without schemata none are written", () => {
  onTree((root) => {
    openIntelRdt({}, "c1", root);
    assert.not.ok(existsSync(join(root, "c1/schemata")));
  });
});

rdt("a named class is made when it is not there, and is not the container's to remove", () => {
  onTree((root) => {
    const result = openIntelRdt({ closID: "gold", l3CacheSchema: "L3:0=f" }, "c1", root);
    assert.equal(result, { ownDirs: [], taskFiles: [join(root, "gold/tasks")] });
    assert.is(readFileSync(join(root, "gold/schemata"), "utf8"), "L3:0=f\n");
  });
});

rdt("a class that is there is entered when it is what the spec says, however the kernel writes it", () => {
  onTree((root) => {
    const config = { closID: "shared", l3CacheSchema: "L3:1=1F;0=07f0", memBwSchema: "MB:1=70" };
    assert.equal(openIntelRdt(config, "c1", root).taskFiles, [join(root, "shared/tasks")]);
  });
});

rdt("a class that is there and is another is refused, and stays as it is", () => {
  onTree((root) => {
    assert.is(
      refusal({ closID: "shared", l3CacheSchema: "L3:0=7f0;1=f" }, root),
      `failed_precondition linux.intelRdt.l3CacheSchema: L3:0=7f0;1=f is not what ${root}/shared has: 1=1f`,
    );
    assert.match(
      refusal({ closID: "shared", memBwSchema: "MB:2=10" }, root),
      /memBwSchema: MB:2=10 is not what .*: 2=nothing/,
    );
    assert.match(readFileSync(join(root, "shared/schemata"), "utf8"), /MB:0= 20/);
  });
});

rdt("a class that is not there and that nothing describes is refused", () => {
  onTree((root) => {
    assert.is(
      refusal({ closID: "silver" }, root),
      `failed_precondition linux.intelRdt.closID: there is no ${root}/silver, and nothing says what is to be in it`,
    );
    assert.not.ok(existsSync(join(root, "silver")));
  });
});

rdt("monitoring gets a group named after the container, in its class or in the default one", () => {
  onTree((root) => {
    const named = openIntelRdt({ closID: "shared", enableMonitoring: true }, "c1", root);
    const group = join(root, "shared/mon_groups/c1");
    assert.equal(named, { ownDirs: [group], taskFiles: [join(root, "shared/tasks"), join(group, "tasks")] });
    const plain = openIntelRdt({ closID: "/", enableMonitoring: true }, "c2", root);
    assert.equal(plain.ownDirs, [join(root, "mon_groups/c2")]);
    assert.is(plain.taskFiles[0], join(root, "tasks"));
  });
});

rdt("a monitoring group that cannot be made leaves no class behind, and the kernel's reason is told", () => {
  onTree((root) => {
    mkdirSync(join(root, "info"));
    writeFileSync(join(root, "info/last_cmd_status"), "out of RMIDs\n");
    // A new directory of this tree has no mon_groups: mkdir fails, as it does when the machine has no group left.
    assert.match(refusal({ enableMonitoring: true }, root), /linux\.intelRdt \(out of RMIDs\)/);
    assert.not.ok(existsSync(join(root, "c1")));
  });
});

rdt("what cannot be is refused by its property", () => {
  assert.is(
    refusal({}, undefined),
    "failed_precondition linux.intelRdt: no resctrl is mounted on this machine",
  );
  for (const closID of ["..", "a/b", "/a", "info", "mon_groups"])
    assert.is(
      refusal({ closID }, "/"),
      `invalid_argument linux.intelRdt.closID: ${closID} is no name of a class`,
    );
  assert.match(refusal({ memBwSchema: "L3:0=1" }, "/"), /memBwSchema: L3:0=1 does not begin with MB:/);
  assert.match(refusal({ schemata: ["L3:0=1\nMB:0=1"] }, "/"), /schemata: a line break/);
});

rdt("resctrl is found where it is mounted", () => {
  const other = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755";
  assert.is(resctrlMount(other), undefined);
  assert.is(resctrlMount(`${other}\n40 23 0:40 / /mnt/rdt rw - resctrl resctrl rw\n`), "/mnt/rdt");
});

rdt.run();
