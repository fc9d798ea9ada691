import { dirname, join } from "node:path";
import { resolveImage } from "../containerd/resolver-client.ts";
import type { Executor } from "../executor/executor.ts";
import { createLinuxExecutor } from "../executor/linux.ts";
import { type ImageInfo, selectExecutor } from "../executor/select.ts";
import { createWasmExecutor } from "../executor/wasm.ts";
import { ensureTranspiled } from "../image/transpile.ts";
import { loadSpec } from "../bundle/spec.ts";
import { openCgroup } from "../isolation/cgroup.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import type { ContainerDependencies } from "../task/container.ts";
import type { EventSink } from "../task/events.ts";
import type { ShimParameters } from "../zygote/request.ts";
import { stateDirectory } from "./directories.ts";

export interface DependencyOptions {
  readonly parameters: ShimParameters;
  readonly zygoteSocket: string;
  readonly events: EventSink;
  readonly log: Log;
}
