import { stripVTControlCharacters } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { plotColdStarts } from "../../benchmarks/report/plot.ts";
import {
  formatResults,
  formatSummary,
  type Results,
  ratioTo,
  type SystemResults,
  summariseTimes,
} from "../../benchmarks/report/tables.ts";

const report = suite("benchmark report");

/** A system whose rounds took 1, 2, 3 … times these milliseconds. */
function timed(name: string, firstByte: number): SystemResults {
  const round = (factor: number) => ({
    started: factor,
    created: factor * 2,
    firstByte: factor * firstByte,
    exited: factor * firstByte + 1,
    deleted: factor * firstByte + 2,
  });
  return { name, description: `${name} 1.0`, times: summariseTimes([round(1), round(2), round(3)]) };
}

const idle = { pods: 50, each: { pss: 2048, privateDirty: 512 }, base: { pss: 60_000, privateDirty: 1 } };

const results: Results = {
  machine: { date: "2026-01-01", machine: "2 × CPU" },
  systems: [
    { ...timed("quick", 5), pageFaults: 1234.4, idle, tasksPerSecond: 41.27 },
    timed("runc", 20),
    { name: "absent", description: "nothing measured" },
  ],
  micro: [{ name: "calls", value: "10/s" }],
  missing: [{ name: "crun", reason: "no /usr/bin/crun" }],
};

report("times are shown as median, least and 95th percentile", () => {
  assert.is(formatSummary({ count: 3, min: 1, median: 2.04, p95: 29.95, mean: 9 }), "2.0 (1.0–29.9)");
});

report("each step of each round is summarised on its own", () => {
  const times = timed("x", 10).times;
  assert.is(times?.firstByte.median, 20);
  assert.is(times?.started.min, 1);
  assert.is(times?.deleted.count, 3);
});

report("a system is compared with runc by the median to the first byte", () => {
  const [quick, runc, absent] = results.systems;
  assert.is(ratioTo(runc, quick as SystemResults), "× 0.25");
  assert.is(ratioTo(runc, absent as SystemResults), "");
  assert.is(ratioTo(undefined, quick as SystemResults), "");
});

report(
  "the report has the machine, each system's rows, the parts and what is missing with its reason",
  () => {
    const text = stripVTControlCharacters(formatResults(results));
    for (const part of [
      "machine: 2 × CPU",
      "quick: quick 1.0",
      "× 0.25",
      "1234",
      "2.00 MB",
      "41.3",
      "calls: 10/s",
    ])
      assert.ok(text.includes(part), `${part} is not in\n${text}`);
    assert.match(text, "not measured: crun: no /usr/bin/crun");
    const rows = text.split("\n").filter((line) => line.includes("absent") && line.includes("│"));
    assert.equal(rows, []);
  },
);

report("with nothing measured there is no table", () => {
  const text = formatResults({ ...results, systems: [{ name: "x", description: "y" }] });
  assert.not.match(text, "│");
});

report("the plot draws each timed system inside of its frame", () => {
  const svg = plotColdStarts({ ...results, systems: [...results.systems, timed("a<b&c", 7)] });
  assert.match(svg, ">quick</text>");
  assert.match(svg, ">a&lt;b&amp;c</text>");
  assert.not.match(svg, "absent");
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)];
  assert.ok(bars.length >= 15);
  for (const [, x, width] of bars) assert.ok(Number(x) + Number(width) <= 900);
});

report.run();
