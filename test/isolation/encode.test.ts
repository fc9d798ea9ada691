import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { toInit, toShim } from "../../src/executor/init-protocol.ts";
import { encodePlan } from "../../src/isolation/encode.ts";
import { stepTable } from "../../src/isolation/steps.ts";

const encode = suite("encode");
const header = readFileSync(new URL("../../native/init/steps.h", import.meta.url), "utf8");

encode("a step is its number, its length, its property and its fields", () => {
  const bytes = encodePlan([
    { op: "hostname", property: "hostname", name: "é" },
    { op: "exec", property: "", args: ["a"], env: [] },
  ]);
  assert.is(
    bytes.toString("hex"),
    [
      "0e000000",
      "14000000",
      "08000000",
      Buffer.from("hostname\0").toString("hex"),
      "02000000",
      "c3a900",
      "27000000",
      "13000000",
      "00000000",
      "00",
      "01000000",
      "01000000",
      "6100",
      "00000000",
    ].join(""),
  );
});

encode("a plan larger than the buffer is whole", () => {
  const filter = Buffer.alloc(100_000, 7);
  const bytes = encodePlan([{ op: "seccomp", property: "", flags: 0, filter }]);
  assert.is(bytes.length, 8 + 5 + 4 + 4 + filter.length);
  assert.equal(bytes.subarray(-filter.length), filter);
});

encode("the numbers of steps and messages are those of container-init", () => {
  const numbers = (name: string): Record<string, number> => {
    const body = new RegExp(`enum class ${name} : \\w+ \\{([^}]*)\\}`).exec(header)?.[1] ?? "";
    return Object.fromEntries(
      [...body.matchAll(/(\w+) = (\d+)/g)].map(([, key, value]) => [key ?? "", Number(value)]),
    );
  };
  assert.equal(
    numbers("Op"),
    Object.fromEntries(Object.entries(stepTable).map(([op, { code }]) => [op, code])),
  );
  assert.equal(numbers("ToInit"), { ...toInit });
  assert.equal(numbers("ToShim"), { ...toShim });
});

encode.run();
