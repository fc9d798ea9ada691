import { TandemError } from "../errors.ts";
import type { Context } from "./command.ts";

/**
 * How many descriptors of the client's reach the program: `--preserve-fds`, and those that came by socket activation, which
 * the program is told of (sd_listen_fds(3)).
 *
 * @throws TandemError invalid_argument
 */
export function preservedDescriptors({ given, call }: Context): {
  readonly preserved: number;
  readonly env: readonly string[];
} {
  const asked = given.number("preserve-fds") ?? 0;
  if (asked < 0 || asked > 1024)
    throw new TandemError("invalid_argument", `--preserve-fds ${asked}: from 0 to 1024`);
  // For another process, whose environment was handed down without the descriptors.
  if ((call.env.get("LISTEN_PID") ?? String(call.pid)) !== String(call.pid))
    return { preserved: asked, env: [] };
  const listening = Number(call.env.get("LISTEN_FDS") ?? 0);
  if (!Number.isInteger(listening) || listening <= 0) return { preserved: asked, env: [] };
  const names = call.env.get("LISTEN_FDNAMES");
  return {
    preserved: asked + listening,
    env: [
      `LISTEN_FDS=${listening}`,
      "LISTEN_PID=1",
      ...(names === undefined ? [] : [`LISTEN_FDNAMES=${names}`]),
    ],
  };
}
