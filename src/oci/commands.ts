import type { Command } from "./command.ts";
import { checkpoint } from "./verbs/checkpoint.ts";
import { create } from "./verbs/create.ts";
import { deleteVerb } from "./verbs/delete.ts";
import { events } from "./verbs/events.ts";
import { exec } from "./verbs/exec.ts";
import { features } from "./verbs/features.ts";
import { kill } from "./verbs/kill.ts";
import { list } from "./verbs/list.ts";
import { pause, resume } from "./verbs/pause.ts";
import { ps } from "./verbs/ps.ts";
import { restore } from "./verbs/restore.ts";
import { run } from "./verbs/run.ts";
import { spec } from "./verbs/spec.ts";
import { start } from "./verbs/start.ts";
import { state } from "./verbs/state.ts";
import { update } from "./verbs/update.ts";

/** Every verb of the command line. */
export const commands: Readonly<Record<string, Command>> = {
  create,
  start,
  run,
  exec,
  state,
  list,
  ps,
  events,
  kill,
  pause,
  resume,
  update,
  checkpoint,
  restore,
  delete: deleteVerb,
  features,
  spec,
};
