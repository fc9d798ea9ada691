import { TandemError } from "../../errors.ts";
import { type Command, containerId } from "../command.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live.ts";

export const deleteVerb: Command = {
  summary: "delete a container that has ended or was never started",
  operands: "ID",
  exclusive: true,
  flags: { force: { short: "f", help: "kill it first if it runs; no error when there is none" } },
  run: async (context) => {
    const { store, given } = context;
    const id = containerId(context);
    const force = given.has("force");
    let container: LiveContainer;
    try {
      container = new LiveContainer(store, id);
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== "not_found" || !force) throw error;
      // A directory without a record: creation was killed before there was a process.
      store.remove(id);
      return 0;
    }
    if (!force) requireEnded(container);
    await deleteContainer(container, context);
    return 0;
  },
};

/** @throws TandemError failed_precondition saying what to do about it */
function requireEnded({ status, record }: LiveContainer): void {
  if (status === "created" || status === "stopped") return;
  throw new TandemError(
    "failed_precondition",
    `container ${record.id}: is ${status}; end it first, or delete --force`,
  );
}
