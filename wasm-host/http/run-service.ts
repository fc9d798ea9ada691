import { TandemError } from "../../src/errors.ts";
import { exitStatuses } from "../exit.ts";
import { reportTrap } from "../report.ts";
import { type HttpService, type ServeOptions, serveHttp } from "./serve.ts";

export interface RunOptions extends ServeOptions {
  /** Called once it serves. */
  readonly onServing?: (() => void) | undefined;
}

/** An http component between run and close. */
export class RunningService {
  readonly #options: RunOptions;
  readonly #closing = Promise.withResolvers<number>();

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /**
   * Serves until `close`, and resolves with the exit status: 0 when every request has been answered, what `close` was given when the time
   * was not enough, `exitStatuses.trap` when the first instance traps.
   * @throws TandemError as `serveHttp` does
   */
  async run(): Promise<number> {
    let service: HttpService;
    try {
      service = await serveHttp(this.#options);
    } catch (error) {
      if (error instanceof TandemError) throw error;
      const { code, grant } = this.#options;
      reportTrap(grant.stdio.stderr, error, { modules: code.modules });
      return exitStatuses.trap;
    }
    this.#options.onServing?.();
    const status = await this.#closing.promise;
    return (await service.close()) ? 0 : status;
  }

  /** Has it stop accepting and drain; `run` then comes to its end. */
  close(status: number): void {
    this.#closing.resolve(status);
  }
}
