import { existsSync, readFileSync } from "node:fs";
import { TandemError } from "../../errors.ts";
import { ownRights } from "../../rights.ts";
import { type BusAddress, busAddresses } from "./dbus/addresses.ts";

/** Which systemd: the machine's, or the manager of the user who runs us. */
export type ManagerKind = "system" | "user";

/** Whoever is not root of the machine has the user's manager. */
export function managerKind(): ManagerKind {
  return ownRights().machineRoot ? "system" : "user";
}

/**
 * Where systemd is spoken to: over the bus, or, where no bus runs, by its own socket, as systemctl does.
 *
 * @throws TandemError failed_precondition when systemd does not run here
 */
export function managerAddresses(
  kind: ManagerKind,
  env: Readonly<Record<string, string | undefined>>,
): readonly BusAddress[] {
  if (kind === "system") {
    // sd_booted(3)
    if (!existsSync("/run/systemd/system"))
      throw notRunning("systemd does not run on this machine (no /run/systemd/system)");
    return [
      ...busAddresses(env["DBUS_SYSTEM_BUS_ADDRESS"] ?? "unix:path=/run/dbus/system_bus_socket"),
      { path: "/run/systemd/private", direct: true },
    ];
  }
  const directory = env["XDG_RUNTIME_DIR"] ?? `/run/user/${ownerOf(process.geteuid?.() ?? 0)}`;
  if (!existsSync(`${directory}/systemd`))
    throw notRunning(`this user has no systemd of its own (no ${directory}/systemd; loginctl enable-linger)`);
  return [
    ...busAddresses(env["DBUS_SESSION_BUS_ADDRESS"] ?? `unix:path=${directory}/bus`),
    { path: `${directory}/systemd/private`, direct: true },
  ];
}

function notRunning(reason: string): TandemError {
  return new TandemError(
    "failed_precondition",
    `the systemd cgroup driver: ${reason}; use cgroupfs: SystemdCgroup = false, kubelet's cgroupDriver: cgroupfs, or no --systemd-cgroup`,
  );
}

/** Our user as the machine numbers it, user_namespaces(7). */
function ownerOf(uid: number): number {
  for (const line of readFileSync("/proc/self/uid_map", "utf8").trim().split("\n")) {
    const [inside = 0, outside = 0, length = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= inside && uid < inside + length) return outside + uid - inside;
  }
  return uid;
}
