import { TandemError } from "../errors.ts";

const milliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A length of time as Go programs take it: "5s", "1m30s", "1.5h". In milliseconds. @throws TandemError invalid_argument */
export function parseDuration(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  const sum = parts.reduce(
    (total, [, count, unit = ""]) => total + Number(count) * (milliseconds[unit] ?? 0),
    0,
  );
  if (parts.map(([part]) => part).join("") !== text || sum <= 0)
    throw new TandemError("invalid_argument", `--${option} ${text}: is no length of time (5s, 1m30s)`);
  return sum;
}
