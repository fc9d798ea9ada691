import { TandemError } from "../../errors.ts";
import { type Command, type Context, containerId } from "../command.ts";
import { deleteContainer } from "../delete-container.ts";
import { deleteDamaged, deleteHalfMade } from "../delete-damaged.ts";
import { LiveContainer } from "../live-container.ts";

export const deleteVerb: Command = {
  summary: "delete a container that has ended or was never started",
  operands: "ID",
  exclusive: true,
  flags: { force: { short: "f", help: "kill it first if it runs; no error when there is none" } },
  run: async (context) => {
    const force = context.given.has("force");
    const id = containerId(context);
    let container: LiveContainer;
    try {
      container = new LiveContainer(context.store, id);
    } catch (error) {
      if (!force) throw error;
      await deleteUnread(context, id, TandemError.from(error));
      return 0;
    }
    if (!force) requireEnded(container);
    await deleteContainer(container, context);
    return 0;
  },
};

/** @throws the error by which the record could not be read, unless there is none or it is damaged */
async function deleteUnread(context: Context, id: string, error: TandemError): Promise<void> {
  if (error.code === "not_found") return deleteHalfMade(context, id);
  // What somebody else could have written is not touched.
  if (error.code !== "failed_precondition") throw error;
  const told = await deleteDamaged(context, id);
  context.warn(told);
  context.call.writeError(`tandem-oci: ${told}\n`);
}

/** @throws TandemError failed_precondition saying what to do about it */
function requireEnded({ status, record }: LiveContainer): void {
  if (status === "created" || status === "stopped") return;
  throw new TandemError(
    "failed_precondition",
    `container ${record.id}: is ${status}; end it first, or delete --force`,
  );
}
