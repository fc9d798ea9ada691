import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SpecIntelRdt } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";

/** A container's place in the resctrl file system: to the kernel one more hierarchy of groups with a `tasks` file. */
export interface IntelRdt {
  /** What was made for this container alone and goes with it, parents first. */
  readonly ownDirs: readonly string[];
  /** The files into which a thread writes "0" to join: the class of service, then the monitoring group. */
  readonly taskFiles: readonly string[];
}

/** `linux.intelRdt` before anything is made of it. */
export interface IntelRdtPlan {
  /** Name of the class's directory; "/" is the default class. */
  readonly group: string;
  /** Given by the spec, and then nobody's to remove. */
  readonly isNamed: boolean;
  /** The lines for `schemata`, in the order that the specification gives. */
  readonly lines: readonly string[];
  /** Those that a class of somebody else's making must have already. */
  readonly compared: readonly { readonly property: string; readonly line: string }[];
  readonly monitor: boolean;
}

/** @throws TandemError invalid_argument naming the property */
export function planIntelRdt(config: SpecIntelRdt, id: string): IntelRdtPlan {
  const { closID = "", l3CacheSchema = "", memBwSchema = "", schemata = [] } = config;
  // A name in the root of resctrl, where some directories are the kernel's own.
  const reserved = [".", "..", "info", "mon_groups", "mon_data"];
  if (closID !== "/" && (closID.includes("/") || reserved.includes(closID === "" ? id : closID)))
    refuse("closID", `${shown(closID === "" ? id : closID)} is no name of a class`);
  // "SHOULD start with L3:", because L3CODE and L3DATA are caches too; MB has no other name.
  if (memBwSchema !== "" && !memBwSchema.startsWith("MB:"))
    refuse("memBwSchema", `${shown(memBwSchema)} does not begin with MB:`);
  const lines = [l3CacheSchema, memBwSchema, ...schemata].filter((line) => line !== "");
  if (lines.some((line) => line.includes("\n"))) refuse("schemata", "a line break in a line");
  const compared = Object.entries({ l3CacheSchema, memBwSchema })
    .filter(([, line]) => line !== "")
    .map(([name, line]) => ({ property: `linux.intelRdt.${name}`, line }));
  const isNamed = closID !== "";
  return {
    group: isNamed ? closID : id,
    isNamed,
    lines,
    compared,
    monitor: config.enableMonitoring === true,
  };
}

/**
 * Makes what `linux.intelRdt` asks for (runtime-spec 1.3, config-linux.md "IntelRdt"). On failure nothing of it is left.
 *
 * @param root where resctrl is mounted; undefined: nowhere
 * @throws TandemError failed_precondition without resctrl, or when a class is not there or not what the spec says;
 * invalid_argument naming the property; or what the kernel says
 */
export function openIntelRdt(config: SpecIntelRdt, id: string, root: string | undefined): IntelRdt {
  const plan = planIntelRdt(config, id);
  if (root === undefined)
    throw new TandemError("failed_precondition", "linux.intelRdt: no resctrl is mounted on this machine");
  const directory = join(root, plan.group);
  const own: string[] = [];
  const isNew = enterClass(plan, directory, root);
  if (isNew) own.push(directory);
  try {
    if (!isNew && plan.isNamed) compareSchemata(plan, directory);
    if (plan.lines.length > 0)
      explained(root, () => writeFileSync(join(directory, "schemata"), `${plan.lines.join("\n")}\n`));
    const monitor = join(directory, "mon_groups", id);
    if (plan.monitor) explained(root, () => mkdirSync(monitor));
    const made = plan.monitor ? [...own, monitor] : own;
    return {
      ownDirs: made.filter((path) => path !== directory || !plan.isNamed),
      taskFiles: rdtTaskFiles(config, id, root),
    };
  } catch (error) {
    for (const path of own) rmdirSync(path);
    throw error;
  }
}

/** Changes lines of a container's class. @throws TandemError naming the property, or failed_precondition without a class */
export function updateIntelRdt(
  config: SpecIntelRdt | undefined,
  id: string,
  root: string | undefined,
  change: Pick<SpecIntelRdt, "l3CacheSchema" | "memBwSchema">,
): void {
  if (config === undefined || root === undefined)
    throw new TandemError(
      "failed_precondition",
      `linux.intelRdt: ${config === undefined ? "the container has no class" : "no resctrl is mounted on this machine"}`,
    );
  const { lines } = planIntelRdt(change, id);
  const { group } = planIntelRdt(config, id);
  explained(root, () => writeFileSync(join(root, group, "schemata"), `${lines.join("\n")}\n`));
}

/** `taskFiles` of a container that has its groups already, below the mount point `root`. */
export function rdtTaskFiles(config: SpecIntelRdt, id: string, root: string): readonly string[] {
  const { group, monitor } = planIntelRdt(config, id);
  const directory = join(root, group);
  const groups = monitor ? [directory, join(directory, "mon_groups", id)] : [directory];
  return groups.map((path) => join(path, "tasks"));
}

/** Where resctrl is mounted, from the text of /proc/self/mountinfo. */
export function resctrlMount(mountinfo: string): string | undefined {
  const line = mountinfo.split("\n").find((entry) => / - resctrl /.test(entry));
  return line?.split(" ")[4];
}

/** @returns whether the directory of the class was made now */
function enterClass(plan: IntelRdtPlan, directory: string, root: string): boolean {
  if (existsSync(directory)) return false;
  if (plan.isNamed && plan.lines.length === 0) {
    throw new TandemError(
      "failed_precondition",
      `linux.intelRdt.closID: there is no ${directory}, and nothing says what is to be in it`,
    );
  }
  explained(root, () => mkdirSync(directory));
  return true;
}

/** @throws TandemError failed_precondition naming the property */
function compareSchemata(plan: IntelRdtPlan, directory: string): void {
  if (plan.compared.length === 0) return;
  const found = readFileSync(join(directory, "schemata"), "utf8").split("\n").map(parseSchema);
  for (const { property, line } of plan.compared) {
    const wanted = parseSchema(line);
    const have = found.find(({ resource }) => resource === wanted.resource)?.values;
    for (const [domain, value] of wanted.values) {
      if (have?.get(domain) === value) continue;
      throw new TandemError(
        "failed_precondition",
        `${property}: ${line} is not what ${directory} has: ${domain}=${have?.get(domain) ?? "nothing"}`,
      );
    }
  }
}

/** `L3:0=0ff;1=f` by domain; the kernel pads what it shows, with zeros and with spaces. */
function parseSchema(line: string): { resource: string; values: ReadonlyMap<string, string> } {
  const [resource = "", list = ""] = line.trim().split(":");
  const values = new Map<string, string>();
  for (const entry of list.split(";")) {
    const [domain = "", value = ""] = entry.split("=").map((part) => part.trim());
    values.set(domain, value.toLowerCase().replace(/^0+(?=.)/, ""));
  }
  return { resource, values };
}

/** The kernel's reason is in a file of its own, beside an errno that says little. */
function explained(root: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw TandemError.from(error, `linux.intelRdt${lastStatus(root)}`);
  }
}

function lastStatus(root: string): string {
  const path = join(root, "info/last_cmd_status");
  if (!existsSync(path)) return "";
  const status = readFileSync(path, "utf8").trim();
  return status === "" || status === "ok" ? "" : ` (${status})`;
}

function refuse(name: string, reason: string): never {
  throw new TandemError("invalid_argument", `linux.intelRdt.${name}: ${reason}`);
}
