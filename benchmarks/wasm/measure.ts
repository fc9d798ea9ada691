import { basename } from "node:path";
import { type Summary, summarise } from "../statistics.ts";
import { openCpuCgroup } from "./cpu-cgroup.ts";
import type { Program } from "./programs.ts";
import type { System } from "./systems.ts";

export interface Measured {
  readonly program: string;
  readonly system: string;
  /** Milliseconds: by the clock, and of the processors together. */
  readonly wall: Summary;
  readonly cpu: Summary;
}

export interface MeasureOptions {
  readonly rounds: number;
  /** The run's own directory; its name is that of the run's cgroups. */
  readonly directory: string;
  /** Told before each run. */
  onRun(what: string): void;
}

/** Runs every program in every system, in turns: what disturbs the machine disturbs all of them. The first round is not counted. */
export async function measure(
  programs: readonly Program[],
  systems: readonly System[],
  options: MeasureOptions,
): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const program of programs) {
    const times = new Map(systems.map(({ name }) => [name, { wall: [] as number[], cpu: [] as number[] }]));
    for (let round = 0; round <= options.rounds; round++) {
      for (const system of systems) {
        options.onRun(`${program.name}, round ${round} of ${options.rounds}: ${system.name}`);
        const { wall, cpu } = await runOnce(program, system, options);
        if (round === 0) continue;
        times.get(system.name)?.wall.push(wall);
        times.get(system.name)?.cpu.push(cpu);
      }
    }
    for (const [system, { wall, cpu }] of times)
      results.push({ program: program.name, system, wall: summarise(wall), cpu: summarise(cpu) });
  }
  return results;
}

const printed = new Map<string, string>();

async function runOnce(
  program: Program,
  system: System,
  { directory }: MeasureOptions,
): Promise<{ wall: number; cpu: number }> {
  await system.prepare(program);
  const cgroup = openCpuCgroup(basename(directory));
  const started = performance.now();
  const text = await system.run(program, cgroup.file);
  const wall = performance.now() - started;
  // CoreMark tells how long it took; the kernels print what they have computed.
  const [line = ""] = program.name === "coremark" ? (/^\[0\]crcfinal.*$/m.exec(text) ?? []) : [text];
  const expected = printed.get(program.name) ?? line;
  printed.set(program.name, expected);
  if (line === "" || line !== expected)
    throw new Error(
      `${program.name}: ${system.name} printed ${JSON.stringify(line)}, not ${JSON.stringify(expected)}`,
    );
  return { wall, cpu: cgroup.usedMs() };
}
