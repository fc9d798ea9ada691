import { TandemError } from "../../errors.ts";
import { type Command, type Context, containerId } from "../command.ts";
import { deleteContainer } from "../delete-container.ts";
import { deleteDamaged, deleteHalfMade } from "../delete-damaged.ts";
import { LiveContainer } from "../live-container.ts";

export const deleteVerb: Command = {
  summary: "delete a container that has ended or was never started",
  operands: "ID",
  flags: { force: { short: "f", help: "kill it first if it runs; no error when there is none" } },
  run: async (context) => {
    const { store, given } = context;
    const force = given.has("force");
    const id = containerId(context);
    // A poststop hook may ask for it, too.
    if (force && !store.has(id)) return 0;
    if (force)
      context.interruptOthers(
        new TandemError("failed_precondition", `container ${id}: was deleted by another command meanwhile`),
      );
    await context.alone(
      () => deleteOne(context, id, force),
      () => {
        if (!force) requireEnded(new LiveContainer(store, id));
      },
    );
    return 0;
  },
};

async function deleteOne(context: Context, id: string, force: boolean): Promise<void> {
  let container: LiveContainer;
  try {
    container = new LiveContainer(context.store, id);
  } catch (error) {
    if (!force) throw error;
    return await deleteUnread(context, id, TandemError.from(error));
  }
  if (!force) requireEnded(container);
  await deleteContainer(container, context);
}

/** @throws the error by which the record could not be read, unless there is none or it is damaged */
async function deleteUnread(context: Context, id: string, error: TandemError): Promise<void> {
  const told = await deleteWhatThereIs(context, id, error);
  if (told === undefined) return;
  context.warn(told);
  context.call.writeError(`tandem-oci: ${told}\n`);
}

function deleteWhatThereIs(context: Context, id: string, error: TandemError): Promise<string | undefined> {
  if (error.code === "not_found") return deleteHalfMade(context, id);
  // What somebody else could have written is not touched.
  if (error.code !== "failed_precondition") throw error;
  return deleteDamaged(context, id);
}

/** @throws TandemError failed_precondition saying what to do about it */
function requireEnded({ status, record }: LiveContainer): void {
  if (status === "created" || status === "stopped") return;
  throw new TandemError(
    "failed_precondition",
    `container ${record.id}: is ${status}; end it first, or delete --force`,
  );
}
