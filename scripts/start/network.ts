import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";

/** How the pods are connected: each with an address on a bridge, or, where no bridge can be made, all on one loopback. */
export type PodNetwork = "bridge" | "host";

/**
 * Runs this script again in a network namespace of its own, which ends with it, and returns its status. The bridge, the pods'
 * addresses and the registry's port are then nobody's business but ours.
 */
export function inOwnNetwork(script: string, args: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const command = ["--net", process.execPath, "--no-warnings", script, "--in-network", ...args];
  const child = spawn("unshare", command, { stdio: "inherit" });
  // The terminal sends Ctrl-C to both; the child cleans up, and this process waits for it.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill("SIGTERM"));
  child.on("error", reject);
  child.on("exit", (code, signal) =>
    resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
  );
  return promise;
}

/** Brings loopback up and finds out whether the kernel has bridges and veth pairs. */
export function prepareNetwork(): PodNetwork {
  const ip = (...args: string[]): boolean => spawnSync("ip", args, { stdio: "ignore" }).status === 0;
  if (!ip("link", "set", "lo", "up"))
    throw new Error("ip link set lo up: failed (Debian package iproute2, CAP_NET_ADMIN)");
  const bridge = ip("link", "add", "probe0", "type", "bridge") && ip("link", "delete", "probe0");
  const pair =
    ip("link", "add", "probe1", "type", "veth", "peer", "name", "probe2") && ip("link", "delete", "probe1");
  return bridge && pair ? "bridge" : "host";
}
