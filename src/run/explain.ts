import { explainGrant, renderGrant } from "../grant/explained-grant.ts";
import { toGrantPlan } from "./run-config.ts";
import type { RunRequest } from "./run-request.ts";

/** What `--explain` prints. Nothing is opened for it. @throws TandemError as `toGrantPlan` does */
export function explainRun(wanted: RunRequest, cwd: string): string {
  const listeners = [...(wanted.listenFds ? ["LISTEN_FDS"] : []), ...wanted.listen];
  const { serve } = wanted;
  const grant = explainGrant(toGrantPlan(wanted, cwd, listeners.length), {
    stdio: wanted.inheritStdio.map((own) => (own ? "caller" : "nowhere")),
    listeners,
    http: serve === undefined ? null : serve,
  });
  return wanted.explain === "json" ? `${JSON.stringify(grant, undefined, 2)}\n` : renderGrant(grant);
}
