import { type Command, containerId } from "../command.ts";
import { LiveContainer } from "../live-container.ts";

export const state: Command = {
  summary: 'print the state of a container as JSON (runtime-spec, runtime.md "State")',
  operands: "ID",
  flags: {},
  run: async (context) => {
    const container = new LiveContainer(context.store, containerId(context));
    context.call.write(`${JSON.stringify(describe(container), null, 2)}\n`);
    return 0;
  },
};

/** The state of the specification, and what runc has beside it. */
export function describe(container: LiveContainer): Readonly<Record<string, unknown>> {
  const { record, status } = container;
  const { annotations } = record.spec;
  return {
    ociVersion: record.spec.ociVersion,
    id: record.id,
    pid: status === "stopped" ? 0 : record.pid,
    status,
    bundle: record.bundle,
    rootfs: record.rootfs,
    created: record.created,
    ...(annotations === undefined ? {} : { annotations }),
    owner: record.owner === 0 ? "" : String(record.owner),
  };
}
