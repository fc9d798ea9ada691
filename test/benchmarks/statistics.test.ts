import { suite } from "uvu";
import * as assert from "uvu/assert";
import { quantile, summarise } from "../../benchmarks/statistics.ts";

const statistics = suite("benchmark statistics");

statistics("a quantile lies between its neighbours, weighted by distance", () => {
  assert.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.is(quantile([10, 20], 0.25), 12.5);
  assert.is(quantile([1, 2, 3, 4, 5], 0), 1);
  assert.is(quantile([1, 2, 3, 4, 5], 1), 5);
});

statistics("values are ordered as numbers", () => {
  assert.is(quantile([100, 9, 20], 0.5), 20);
});

statistics("the series that is asked about stays as it was", () => {
  const values = [3, 1, 2];
  quantile(values, 0.5);
  assert.equal(values, [3, 1, 2]);
});

statistics("one value is its own summary", () => {
  assert.equal(summarise([7]), { count: 1, min: 7, median: 7, p95: 7, mean: 7 });
});

statistics("a straggler moves the mean and the 95th percentile, not the median", () => {
  const { median, p95, mean, min } = summarise([...Array(19).fill(10), 1000]);
  assert.is(median, 10);
  assert.is(min, 10);
  assert.is(mean, 59.5);
  assert.ok(p95 > 10 && p95 < 1000);
});

statistics("no values give no number", () => {
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

statistics.run();
