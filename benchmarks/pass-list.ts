import { Listr, type ListrTask } from "listr2";
import type { Absent } from "./systems.ts";

/** The passes of a benchmark: those that are wanted, one after the other; shows where it is, and gathers what they find. */
export class PassList<Results extends { readonly name: string }> {
  readonly #wanted: ReadonlySet<string>;
  readonly #found: ReadonlyMap<string, Results>;
  readonly #passes: ListrTask[] = [];
  /** What could not be measured, and why. */
  readonly missing: Absent[] = [];

  /**
   * @param wanted names of passes
   * @param subjects what is measured, without results as yet
   */
  constructor(wanted: ReadonlySet<string>, subjects: readonly Results[]) {
    this.#wanted = wanted;
    this.#found = new Map(subjects.map((subject) => [subject.name, subject]));
  }

  get found(): readonly Results[] {
    return [...this.#found.values()];
  }

  /** Adds to what has been found out of a subject. */
  note(name: string, results: Partial<Results>): void {
    Object.assign(this.#found.get(name) ?? {}, results);
  }

  add(pass: string, title: string, run: (showProgress: (text: string) => void) => Promise<void>): void {
    if (!this.#wanted.has(pass)) return;
    this.#passes.push({
      title,
      task: (_context, task) =>
        run((text) => {
          // Only where a line can be written over: a log has the titles.
          if (process.stdout.isTTY) task.output = text;
        }),
    });
  }

  /** A pass that takes one subject at a time. Those that are missing already are left out; one that fails joins them. */
  addEach<Subject extends { readonly name: string }>(
    pass: string,
    title: string,
    subjects: readonly Subject[],
    measure: (subject: Subject) => Promise<Partial<Results>>,
  ): void {
    this.add(pass, title, async (showProgress) => {
      for (const subject of subjects) {
        if (this.missing.some(({ name }) => name === subject.name)) continue;
        showProgress(subject.name);
        try {
          this.note(subject.name, await measure(subject));
        } catch (error) {
          this.missing.push({ name: `${subject.name}, ${pass}`, reason: String(error) });
        }
      }
    });
  }

  async run({ quiet }: { readonly quiet: boolean }): Promise<void> {
    await new Listr(this.#passes, {
      concurrent: false,
      renderer: quiet ? "silent" : "default",
      fallbackRenderer: "simple",
    }).run();
  }
}
