import { directories } from "../directories.ts";
import { TandemError } from "../errors.ts";
import { createLog } from "../log.ts";
import { native } from "../native.ts";
import { serveResolver } from "./resolver.ts";

/** A freshly forked process becomes the resolver of one containerd; it ends when nobody has asked for a while. */
export function becomeResolver(fields: readonly Buffer[], fds: readonly number[]): void {
  native.setProcessName("tandem-resolve");
  native.setSession();
  const { log } = createLog();
  const ending = new AbortController();
  process.once("SIGTERM", () => ending.abort());
  const containerdAddress = fields[1]?.toString() ?? "";
  serveResolver({
    listenFd: fds[0] ?? -1,
    containerdAddress,
    stateDir: directories.state,
    signal: ending.signal,
  }).then(
    () => native.exitNow(0),
    (error: unknown) => {
      log.error({ err: TandemError.from(error), containerd: containerdAddress }, "resolver");
      native.exitNow(1);
    },
  );
}
