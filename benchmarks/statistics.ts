/** What a series of measurements says. All in the unit of its values. */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly mean: number;
}

/**
 * The value below which a share of the sorted values lies, interpolated between neighbours (Hyndman and Fan's type 7, what R and
 * NumPy do unless told otherwise). NaN for no values.
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const lower = sorted[Math.floor(position)] ?? Number.NaN;
  const upper = sorted[Math.ceil(position)] ?? Number.NaN;
  return lower + (upper - lower) * (position - Math.floor(position));
}

/** Median and quantiles, not mean and deviation: times of a shared machine have a long tail on one side only. */
export function summarise(values: readonly number[]): Summary {
  return {
    count: values.length,
    min: quantile(values, 0),
    median: quantile(values, 0.5),
    p95: quantile(values, 0.95),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  };
}
