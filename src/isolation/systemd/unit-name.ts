import { TandemError } from "../../errors.ts";

/** A transient scope and the slice that it is to be in. */
export interface ScopeName {
  readonly slice: string;
  readonly unit: string;
}

/**
 * `linux.cgroupsPath` as the systemd driver reads it: `slice:prefix:name`; runc and crun agree on it. The unit is
 * `prefix-name.scope`, without a prefix `name.scope`. An absent path is `system.slice` (for a user's manager `user.slice`) and
 * `<namespace>-<id>.scope`.
 *
 * @throws TandemError invalid_argument for what is none, or would be no unit name (systemd.unit(5))
 */
export function scopeName(
  cgroupsPath: string | undefined,
  context: { readonly namespace: string; readonly id: string; readonly kind: "system" | "user" },
): ScopeName {
  const defaultSlice = context.kind === "user" ? "user.slice" : "system.slice";
  const [slice = "", prefix, name, ...rest] =
    cgroupsPath === undefined || cgroupsPath === ""
      ? [defaultSlice, context.namespace, context.id]
      : cgroupsPath.split(":");
  const fail = (reason: string): never => {
    throw new TandemError(
      "invalid_argument",
      `linux.cgroupsPath ${JSON.stringify(cgroupsPath ?? "")}: ${reason}`,
    );
  };
  if (prefix === undefined || name === undefined || name === "" || rest.length > 0)
    fail("not of the form slice:prefix:name, which the systemd cgroup driver takes");
  const unit = `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  if (!/^[\w:.\\-]+$/.test(unit) || unit.length > 255) fail(`${JSON.stringify(unit)} is no name of a unit`);
  const whole = slice === "" ? defaultSlice : slice;
  if (whole !== "-.slice" && !/^[\w:.\\]+(-[\w:.\\]+)*\.slice$/.test(whole))
    fail(`${JSON.stringify(whole)} is no name of a slice`);
  return { slice: whole, unit };
}

/** `a-b.slice` is inside `a.slice`: "/a.slice/a-b.slice", systemd.slice(5). The root slice is "". */
export function sliceDirectory(slice: string): string {
  if (slice === "-.slice") return "";
  const parts = slice.slice(0, -".slice".length).split("-");
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}
