import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSubCgroups } from "../../src/oci/sub-cgroup.ts";

const sub = suite("exec --cgroup");

sub("names a path for all hierarchies, or one for each controller", () => {
  assert.equal([...parseSubCgroups(["below"])], [["", "below"]]);
  assert.equal(
    [...parseSubCgroups(["cpu,cpuacct:a", "memory:b"])],
    [
      ["cpu", "a"],
      ["cpuacct", "a"],
      ["memory", "b"],
    ],
  );
  assert.equal([...parseSubCgroups([])], []);
});

sub("what contradicts itself is refused", () => {
  assert.throws(() => parseSubCgroups(["a", "b"]), /stands alone/);
  assert.throws(() => parseSubCgroups([":a"]), /is missing/);
  assert.throws(() => parseSubCgroups(["cpu:a", "cpu,memory:b"]), /cpu is given twice/);
});

sub.run();
