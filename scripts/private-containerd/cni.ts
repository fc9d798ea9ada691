import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** A CNI configuration: a bridge with addresses of its own, everything but libcni's cache below the directory. */
export function bridgeNetwork(directory: string, name: string): unknown {
  const ipam = {
    type: "host-local",
    dataDir: join(directory, "cni-state"),
    ranges: [[{ subnet: "10.88.0.0/24" }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  // No masquerade and no port mappings: both would need iptables, and the pods need nothing but each other.
  const bridge = {
    type: "bridge",
    bridge: "tandem0",
    isGateway: true,
    ipMasq: false,
    hairpinMode: true,
    ipam,
  };
  return { cniVersion: "0.4.0", name, plugins: [bridge, { type: "loopback" }] };
}

/** libcni remembers each attachment in a place that containerd cannot choose, until the pod is removed. */
export function forgetNetwork(name: string): void {
  const cache = "/var/lib/cni/results";
  const entries = existsSync(cache) ? readdirSync(cache) : [];
  for (const entry of entries.filter((file) => file.startsWith(`${name}-`))) {
    const sandbox = entry.slice(name.length + 1).replace(/-eth0$/, "");
    rmSync(join(cache, entry));
    rmSync(join(cache, `cni-loopback-${sandbox}-lo`), { force: true });
  }
}
