import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** One step of a plan; rounds.c says what each does. */
export interface Step {
  /** The runtime whose step it is; a runtime with a failed step is left out of the report. */
  readonly runtime: string;
  /** Steps with one name are summed up in a round. Undefined: done, and not counted. */
  readonly name: string | undefined;
  readonly fields: readonly string[];
}

export interface StepTime {
  readonly step: Step;
  readonly round: number;
  readonly milliseconds: number;
}

/** Runs plans by a small program of C's, which costs the machine less than what it measures. */
export class Driver {
  readonly #program: string;
  readonly #errors: string;

  private constructor(program: string, errors: string) {
    this.#program = program;
    this.#errors = errors;
  }

  /** Compiles the program into the directory. */
  static compile(directory: string): Driver {
    const program = join(directory, "rounds");
    const source = fileURLToPath(new URL("rounds.c", import.meta.url));
    execFileSync("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], { stdio: "inherit" });
    return new Driver(program, join(directory, "errors"));
  }

  /**
   * Does all steps `rounds` times.
   *
   * @throws Error with what the step printed when one fails: what comes after it would measure something else.
   */
  async run(steps: readonly Step[], rounds: number, onRound?: (round: number) => void): Promise<StepTime[]> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const child = spawn(this.#program, [String(rounds), this.#errors], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const times: StepTime[] = [];
    let failure: Error | undefined;
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [index = 0, round = 0, nanoseconds = 0, status = 0] = line.split("\t").map(Number);
        const step = steps[index];
        if (step === undefined) continue;
        if (status !== 0 && failure === undefined) {
          failure = this.#failureOf(step, status);
          child.kill();
        }
        if (index === 0) onRound?.(round);
        times.push({ step, round, milliseconds: nanoseconds / 1e6 });
      }
    });
    child.on("error", reject);
    child.on("close", () => (failure === undefined ? resolve() : reject(failure)));
    child.stdin.end(steps.map(({ fields }) => `${fields.join("\t")}\n`).join(""));
    await promise;
    return times;
  }

  #failureOf({ runtime, fields }: Step, status: number): Error {
    const printed = readFileSync(this.#errors, "utf8").trim().split("\n").slice(-3).join(" ");
    return new Error(
      `${runtime}: ${fields.slice(fields.indexOf("--") + 1).join(" ")}: status ${status}: ${printed}`,
    );
  }
}
