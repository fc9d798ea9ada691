import { readFileSync } from "node:fs";
import { TandemError } from "../errors.ts";

/** How a machine can be set up to forbid user namespaces, from the outermost reason in. */
const settings = [
  {
    file: "/proc/sys/kernel/unprivileged_userns_clone",
    forbids: (value: string, _full: boolean) => value === "0",
    text: "kernel.unprivileged_userns_clone is 0: only root may make user namespaces on this machine",
  },
  {
    file: "/proc/sys/user/max_user_namespaces",
    forbids: (value: string, full: boolean) => value === "0" || full,
    text: "user.max_user_namespaces: no more user namespaces may be made on this machine",
  },
  {
    file: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    forbids: (value: string, _full: boolean) => value === "1",
    text: "kernel.apparmor_restrict_unprivileged_userns is 1: only root, and programs with an AppArmor profile that says so, may use user namespaces on this machine",
  },
] as const;

/** A refusal by the kernel that concerns a user namespace, with the machine's setting that explains it, if one does. */
export function userNamespaceError(thrown: unknown, property: string): TandemError {
  const error = TandemError.from(thrown, property);
  if (error.code !== "permission_denied" && error.code !== "resource_exhausted") return error;
  const reason = settings.find(({ file, forbids }) =>
    forbids(readSetting(file), error.code === "resource_exhausted"),
  );
  return reason === undefined
    ? error
    : new TandemError(error.code, `${property}: ${reason.text}`, { cause: error });
}

function readSetting(file: string): string {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    // A kernel that has no such setting forbids nothing by it.
    return "";
  }
}
