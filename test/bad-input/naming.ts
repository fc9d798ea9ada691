import type { Place } from "./mutations.ts";

/**
 * Properties that another one depends on: with the left one wrong, the right one is what cannot be had. By paths of the schema;
 * a place below one of them counts as it.
 */
const dependants: Readonly<Record<string, readonly string[]>> = {
  "linux.namespaces": ["hostname", "domainname", "linux.", "process.user", "mounts["],
  "process.args": ["entrypoint", 'exec: "'],
  // The sets depend on each other, and the kernel names none of them.
  "process.capabilities": ["process.capabilities"],
  // Without a tmpfs there it is the image's /dev, which a user namespace may not change.
  mounts: ["linux.devices"],
  // Two descriptors are not enough for a hook that is run in the container.
  "process.rlimits": ["hooks.", "process.cwd"],
  "linux.resources.pids": ["hooks."],
  "linux.seccomp": ["linux.seccomp."],
  "linux.uidMappings": ["linux.uidMappings", "process.user.", "mounts["],
  "linux.gidMappings": ["linux.gidMappings", "process.user.", "mounts["],
};

/** The message names the place, what is in it, or what holds it (`hooks.prestart[0]` of `hooks.prestart[0].args[1]`). */
export function namesPlace(message: string, { name, rule }: Place): boolean {
  if (message.includes(name)) return true;
  const element = /^[^\]]*\[\d+\]/.exec(name)?.[0];
  if (element !== undefined && message.includes(element)) return true;
  // Without any namespace, the first thing that would need one.
  if (rule.path === "linux" && message.startsWith("hostname: needs")) return true;
  const holder = name.replace(/(\[\d+\]|\.[^.[]+)$/, "");
  const isElsewhere = holder === "process" || holder === "linux" || holder === name;
  if (!isElsewhere && message.includes(holder)) return true;
  const names = Object.entries(dependants).flatMap(([path, others]) =>
    rule.path.startsWith(path) ? others : [],
  );
  return names.some((other) => message.includes(other));
}

/** One line, no control characters, of a length that fits a log. */
export function isReadable(message: string): boolean {
  return message.length < 5000 && /^\P{Cc}+$/u.test(message);
}
