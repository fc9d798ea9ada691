import { readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type Client, connect } from "ttrpc-ts";
import { Task } from "../api/gen/containerd/task/v2/task_pb.ts";
import { Status } from "../api/gen/containerd/v1/types/task_pb.ts";
import { directories } from "../directories.ts";
import { type Bundle, findBundles, namesOf } from "./bundles.ts";
import { plainTable } from "./plain-table.ts";

/** A shim that does not answer within this time is shown as one that does not. */
const timeoutMs = 2_000;

/** A container as its shim tells it. */
interface Listed {
  readonly namespace: string;
  readonly id: string;
  readonly status: string;
  readonly pid: number;
  readonly executor: string;
  readonly shimPid: number;
}

/**
 * `tandem ps`: this node's containers. A shim keeps no list for others, so the bundles say which containers there are and which
 * socket is theirs, and each one's shim is asked how it is.
 */
export function addPs(program: Command): void {
  program
    .command("ps")
    .description(
      "list the containers of this node that Tandem runs for containerd, as their shims tell it;\n" +
        "those of podman and others, by the command line: tandem-oci list",
    )
    .option("--json", "as JSON")
    .action(async (options: { readonly json?: boolean }) => {
      const listed = await listContainers();
      process.stdout.write(
        options.json === true ? `${JSON.stringify(listed, undefined, 2)}\n` : renderList(listed),
      );
      const others = namesOf(join(directories.run, "oci")).length;
      if (others > 0)
        process.stderr.write(`and ${others} of the command line, in its usual --root: tandem-oci list\n`);
    });
}

async function listContainers(): Promise<Listed[]> {
  const bySocket = Map.groupBy(findBundles(), ({ socket }) => socket);
  const lists = await Promise.all([...bySocket].map(([socket, bundles]) => askShim(socket, bundles)));
  return lists.flat();
}

async function askShim(socket: string, bundles: readonly Bundle[]): Promise<Listed[]> {
  let shim: Client;
  try {
    shim = await connect(socket);
  } catch (error) {
    return bundles.map((bundle) => withoutAnswer(bundle, error));
  }
  await using connection = shim;
  const task = connection.service(Task);
  return await Promise.all(
    bundles.map(async (bundle) => {
      const { namespace, id } = bundle;
      try {
        const [{ status, pid }, { shimPid }] = await Promise.all([
          task.state({ id }, { timeoutMs }),
          task.connect({ id }, { timeoutMs }),
        ]);
        const name = statusNames.get(status) ?? String(status);
        return { namespace, id, status: name, pid, executor: executorOf(pid), shimPid };
      } catch (error) {
        return withoutAnswer(bundle, error);
      }
    }),
  );
}

/** That, too, is an answer: one container's trouble must not hide the others. */
function withoutAnswer({ namespace, id }: Bundle, error: unknown): Listed {
  const { code } = error as { readonly code?: unknown };
  const status = troubles.get(code);
  if (status === undefined) throw error;
  return { namespace, id, status, pid: 0, executor: "", shimPid: 0 };
}

const troubles = new Map<unknown, string>([
  // Killed, and containerd has not cleaned up yet.
  ["unavailable", "no shim"],
  ["deadline_exceeded", "no answer"],
  // Its Create is under way, or its Delete was.
  ["not_found", "unknown"],
]);

const statusNames = new Map<number, string>(
  Object.entries(Status).map(([name, value]) => [value, name.toLowerCase()]),
);

/** A wasm process is a fork of the zygote: its program is Tandem's own Node, maybe one that an upgrade has replaced since. */
function executorOf(pid: number): string {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, "");
    return program === join(directories.lib, "node") ? "wasm" : "linux";
  } catch {
    return ""; // ended
  }
}

/** CRI's ids are random digits: the first thirteen are enough, as crictl shows them. */
function shortId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 13) : id;
}

function renderList(listed: readonly Listed[]): string {
  return plainTable(
    ["NAMESPACE", "CONTAINER", "STATUS", "EXECUTOR", "PID", "SHIM"],
    listed.map(({ namespace, id, status, executor, pid, shimPid }) => [
      namespace,
      shortId(id),
      status,
      executor,
      pid || "",
      shimPid || "",
    ]),
  );
}
