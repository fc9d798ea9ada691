import { constants } from "node:os";

/** signal(7), as the kernel numbers it: what `native.pidfdSendSignal` and every `kill` of containers and processes take. */
export const { SIGKILL } = constants.signals;
