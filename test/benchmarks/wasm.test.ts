import { suite } from "uvu";
import * as assert from "uvu/assert";
import { summarise } from "../../benchmarks/statistics.ts";
import { formatWasmResults, geometricMean, type WasmResults } from "../../benchmarks/wasm/report.ts";

const bench = suite("bench:wasm");

const measured = (program: string, system: string, wall: number, cpu: number) => ({
  program,
  system,
  wall: summarise([wall, wall]),
  cpu: summarise([cpu]),
});

const results: WasmResults = {
  machine: { machine: "2 × some processor" },
  programs: [
    { name: "fib", about: "calls" },
    { name: "sieve", about: "primes" },
  ],
  systems: ["native", "wasmtime", "tandem"].map((name) => ({ name, description: `what ${name} is` })),
  measured: [
    measured("fib", "native", 100, 90),
    measured("fib", "wasmtime", 200, 180),
    measured("fib", "tandem", 100, 90),
    measured("sieve", "native", 100, 100),
    measured("sieve", "wasmtime", 100, 100),
    measured("sieve", "tandem", 200, 200),
  ],
  missing: [{ name: "wasmtime-cold", reason: "is not here" }],
};

bench("shows medians, ratios to its peers, and what was not measured", () => {
  const text = formatWasmResults(results);
  const row = (name: string): string => text.split("\n").find((line) => line.startsWith(`│ ${name}`)) ?? "";
  assert.match(row("fib"), /100 \(100\).*200 \(200\).*100 \(100\).*× 0\.50.*× 1\.00/);
  assert.match(row("geometric mean"), /× 1\.00.*× 1\.41/);
  assert.match(text, /wasmtime-cold: not measured: is not here/);
  assert.not.match(text, /tandem-cold \//);
});

bench("the mean of ratios is the geometric one", () => {
  assert.is(geometricMean([4, 1]), 2);
  assert.ok(Number.isNaN(geometricMean([])));
});

bench.run();
