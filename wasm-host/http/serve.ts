import { TandemError } from "../../src/errors.ts";
import type { ComponentCode } from "../component-code.ts";
import { watchImports } from "../debug/watch-imports.ts";
import { anew } from "../deterministic/anew.ts";
import { GuestThread } from "../linked/guest-thread.ts";
import type { LinkedCode, LinkedProgram } from "../linked/linked-code.ts";
import { writeLine } from "../report.ts";
import { type ComponentGrant, createImports } from "../wasi/p2/imports.ts";
import { createNativeFiles } from "../wasi/p2/native-files.ts";
import { suspending } from "../wasi/p2/waiting.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { GuestProgram } from "./guests/guest-program.ts";
import { LinkedGuestProgram } from "./guests/linked-guest.ts";
import { TranspiledGuestProgram } from "./guests/transpiled-guest.ts";
import { defaultHttpLimits, type HttpLimits } from "./limits.ts";
import { AccessLog } from "./server/access-log.ts";
import type { ListenAddress } from "./server/listeners.ts";
import { HttpServer } from "./server/server.ts";

export interface ServeOptions {
  /** A component of the world wasi:http/proxy of 0.2 or wasi:http/service of 0.3. */
  readonly code: ComponentCode | LinkedCode;
  readonly grant: ComponentGrant;
  readonly address: ListenAddress;
  readonly limits?: Partial<HttpLimits>;
}

export interface HttpService {
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Stops accepting, waits for requests in flight as long as `drainTimeoutMs`, then breaks what is left. Whether nothing was. Idempotent.
   */
  close(): Promise<boolean>;
}

/** How often requests are looked at that take too long. */
const sweepMs = 50;

/**
 * Serves an http component. It listens once a first instance is there. A request that traps costs that request: 500, and why on the
 * granted stderr.
 * @throws TandemError `failed_precondition` when the port is taken; `invalid_argument` when the component is of another world;
 *   what a first instance traps with
 */
export async function serveHttp({ code, grant, address, limits: given }: ServeOptions): Promise<HttpService> {
  const limits = { ...defaultHttpLimits, ...given };
  const report = (line: string): void => writeLine(grant.stdio.stderr, line);
  const reporting = { report, sources: { modules: code.modules } };
  const dispatcher = new Dispatcher(createProgram(code, grant, limits), limits, reporting);
  dispatcher.prepare();
  const log = createLog(limits, grant.stdio[limits.accessLogTo]);
  const server = new HttpServer(address, { limits, log, serve: (exchange) => dispatcher.accept(exchange) });
  const timer = setInterval(() => dispatcher.sweep(), sweepMs).unref();
  const where = server.address;
  server.start();
  return {
    address: where,
    close: async () => {
      const whole = await server.close();
      clearInterval(timer);
      return whole;
    },
  };
}

function createLog({ accessLog }: HttpLimits, fd: number | undefined): AccessLog | undefined {
  return accessLog === "off" ? undefined : new AccessLog(accessLog, (line) => writeLine(fd, line));
}

function createProgram(
  code: ComponentCode | LinkedCode,
  grant: ComponentGrant,
  limits: HttpLimits,
): GuestProgram {
  if ("plan" in code) {
    const thread = new GuestThread(limits.computeTimeoutMs);
    const bind = (): LinkedProgram =>
      code.bind(
        watchImports(createImports(anew(grant), { files: createNativeFiles(), waiter: suspending })),
        thread,
      );
    const deterministic = grant.clocks !== undefined || grant.random !== undefined;
    return new LinkedGuestProgram(bind, code.plan, { reset: limits.instanceReset, deterministic });
  }
  if (code.entry.world !== "http")
    throw new TandemError(
      "invalid_argument",
      "component exports neither wasi:http/incoming-handler nor wasi:http/handler",
    );
  return new TranspiledGuestProgram(code, grant);
}
