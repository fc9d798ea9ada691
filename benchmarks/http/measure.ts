import autocannon from "autocannon";
import { type Summary, summarise } from "../statistics.ts";
import type { HttpProgram } from "./components.ts";
import { type HttpServing, type HttpSystem, type Mode, modes, startServer } from "./servers.ts";

/** What one system makes of one component. */
export interface HttpMeasured {
  readonly program: string;
  readonly mode: Mode["name"];
  readonly system: string;
  readonly perSecond: Summary;
  /** Milliseconds, of each round. */
  readonly p50: Summary;
  readonly p99: Summary;
  /** Answers other than 2xx, and none. */
  readonly failures: number;
}

export interface MeasureOptions {
  readonly rounds: number;
  /** Of each round. */
  readonly seconds: number;
  readonly connections: number;
  onRound(what: string): void;
}

/** All systems serve at once, and are asked in turns: what disturbs the machine disturbs all of them. */
export async function measureHttp(
  programs: readonly HttpProgram[],
  systems: readonly HttpSystem[],
  options: MeasureOptions,
): Promise<HttpMeasured[]> {
  const measured: HttpMeasured[] = [];
  for (const program of programs) {
    for (const mode of modes) measured.push(...(await measureMode(program, mode, { systems, options })));
  }
  return measured;
}

interface Setup {
  readonly systems: readonly HttpSystem[];
  readonly options: MeasureOptions;
}

async function measureMode(
  program: HttpProgram,
  mode: Mode,
  { systems, options }: Setup,
): Promise<HttpMeasured[]> {
  const servings: (readonly [HttpSystem, HttpServing, Round[]])[] = [];
  try {
    for (const system of systems) servings.push([system, await startServer(system, program, mode), []]);
    for (let round = -1; round < options.rounds; round++) {
      for (const [system, { url }, rounds] of servings) {
        options.onRound(`${program.name} ${mode.name} ${round + 1}/${options.rounds}: ${system.name}`);
        const result = await load(url, options);
        if (round >= 0) rounds.push(result); // the first warms up
      }
    }
    return servings.map(([system, , rounds]) => ({
      program: program.name,
      mode: mode.name,
      system: system.name,
      perSecond: summarise(rounds.map((one) => one.perSecond)),
      p50: summarise(rounds.map((one) => one.p50)),
      p99: summarise(rounds.map((one) => one.p99)),
      failures: rounds.reduce((sum, one) => sum + one.failures, 0),
    }));
  } finally {
    for (const [, serving] of servings) await serving.stop();
  }
}

interface Round {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
}

async function load(url: string, { connections, seconds }: MeasureOptions): Promise<Round> {
  const { requests, latency, errors, timeouts, non2xx } = await autocannon({
    url,
    connections,
    duration: seconds,
  });
  return {
    perSecond: requests.average,
    p50: latency.p50,
    p99: latency.p99,
    failures: errors + timeouts + non2xx,
  };
}
