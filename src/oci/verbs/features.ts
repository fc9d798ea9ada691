import { features as document } from "../../isolation/features.ts";
import type { Command } from "../command.ts";

export const features: Command = {
  summary: "print what this runtime understands as JSON (runtime-spec, features.md)",
  operands: "",
  flags: {},
  run: async ({ call }) => {
    call.write(`${JSON.stringify(document, null, 2)}\n`);
    return 0;
  },
};
