import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema, EmptySchema, type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "ttrpc-ts";
import {
  type CheckpointOptions,
  CheckpointOptionsSchema,
  ProcessDetailsSchema,
} from "../api/gen/containerd/runc/v1/options_pb.ts";
import type { Task } from "../api/gen/containerd/task/v2/task_pb.ts";
import {
  ConnectResponseSchema,
  CreateTaskResponseSchema,
  DeleteResponseSchema,
  PidsResponseSchema,
  StartResponseSchema,
  type StateResponse,
  StateResponseSchema,
  StatsResponseSchema,
  WaitResponseSchema,
} from "../api/gen/containerd/task/v3/task_pb.ts";
import { Status as TaskStatus } from "../api/gen/containerd/v1/types/task_pb.ts";
import { parseRuntimeOptions } from "../bundle/runtime-options.ts";
import { parseProcess, parseResources } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import type { Registry } from "./registry.ts";
import type { Status } from "./status.ts";
import type { TaskProcess } from "./task-process.ts";

/** type_urls are bare names here: containerd compares them as strings (shim-protocol §3.3). */
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const CHECKPOINT_TYPE = "containerd.runc.v1.CheckpointOptions";
const RESOURCES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

const statuses: Readonly<Record<Status, TaskStatus>> = {
  created: TaskStatus.CREATED,
  running: TaskStatus.RUNNING,
  paused: TaskStatus.PAUSED,
  stopped: TaskStatus.STOPPED,
};

export interface TaskServiceOptions {
  readonly registry: Registry;
  readonly namespace: string;
  readonly version: string;
  /** Called when no container is left and containerd has said Shutdown; the reply goes out before anything ends. */
  shutdown(): void;
}

/**
 * The Task service, v2 and v3 alike: each handler looks up, delegates, converts. What may be asked when is the container's
 * business (container.ts, status.ts).
 *
 * @see shim-protocol §3
 */
export function createTaskService(options: TaskServiceOptions): ServiceImpl<typeof Task> {
  const { registry } = options;
  const empty = create(EmptySchema);
  return {
    async create(request) {
      const container = await registry.create({
        id: request.id,
        namespace: options.namespace,
        bundle: request.bundle,
        rootfs: request.rootfs,
        stdio: request,
        options: parseRuntimeOptions(request.options),
        checkpoint: request.checkpoint,
      });
      return create(CreateTaskResponseSchema, { pid: container.init.pid });
    },
    async start(request) {
      return create(StartResponseSchema, { pid: await registry.container(request.id).start(request.execId) });
    },
    async delete(request) {
      const { pid, exit } = await registry.delete(request.id, request.execId);
      return create(DeleteResponseSchema, {
        pid,
        exitStatus: exit.status,
        exitedAt: timestampFromDate(exit.exitedAt),
      });
    },
    state(request) {
      const container = registry.container(request.id);
      return toState(request.id, container.bundle, container.process(request.execId));
    },
    pids(request) {
      const processes = registry.container(request.id).pids();
      return create(PidsResponseSchema, {
        processes: processes.map(({ pid, execId }) =>
          execId === "" ? { pid } : { pid, info: processDetails(execId) },
        ),
      });
    },
    async pause(request) {
      await registry.container(request.id).pause();
      return empty;
    },
    async resume(request) {
      await registry.container(request.id).resume();
      return empty;
    },
    async checkpoint(request) {
      const options = checkpointOptions(request.options);
      await registry.container(request.id).checkpoint({
        path: options.imagePath || request.path,
        workPath: options.workPath,
        exit: options.exit,
        openTcp: options.openTcp,
        externalUnixSockets: options.externalUnixSockets,
        terminal: options.terminal,
        fileLocks: options.fileLocks,
        cgroupsMode: options.cgroupsMode,
      });
      return empty;
    },
    async kill(request) {
      await registry.container(request.id).kill(request.execId, request.signal, request.all);
      return empty;
    },
    async exec(request) {
      const process = parseProcess(jsonOf(request.spec, PROCESS_TYPE, "exec"));
      await registry.container(request.id).addExec(request.execId, process, request);
      return empty;
    },
    resizePty(request) {
      registry.container(request.id).process(request.execId).resize(request.width, request.height);
      return empty;
    },
    closeIO(request) {
      const process = registry.container(request.id).process(request.execId);
      if (request.stdin) process.closeStdin();
      return empty;
    },
    async update(request) {
      const resources = parseResources(jsonOf(request.resources, RESOURCES_TYPE, "update"));
      await registry.container(request.id).update(resources);
      return empty;
    },
    async wait(request) {
      const exit = await registry.container(request.id).process(request.execId).wait();
      return create(WaitResponseSchema, {
        exitStatus: exit.status,
        exitedAt: timestampFromDate(exit.exitedAt),
      });
    },
    stats(request) {
      return create(StatsResponseSchema, { stats: registry.container(request.id).stats() });
    },
    connect(request) {
      return create(ConnectResponseSchema, {
        shimPid: native.getpid(),
        taskPid: registry.find(request.id)?.init.pid ?? 0,
        version: options.version,
      });
    },
    shutdown() {
      // With containers left this is another container's goodbye (shim-protocol §10, no. 35).
      if (registry.isEmpty) options.shutdown();
      return empty;
    },
  };
}

function toState(id: string, bundle: string, process: TaskProcess): StateResponse {
  const state: MessageInitShape<typeof StateResponseSchema> & { exitedAt?: Timestamp } = {
    id,
    bundle,
    pid: process.pid,
    status: statuses[process.status],
    stdin: process.paths.stdin,
    stdout: process.paths.stdout,
    stderr: process.paths.stderr,
    terminal: process.paths.terminal,
    execId: process.execId,
  };
  if (process.exit !== undefined) {
    state.exitStatus = process.exit.status;
    state.exitedAt = timestampFromDate(process.exit.exitedAt);
  }
  return create(StateResponseSchema, state);
}

function processDetails(execId: string): Any {
  return create(AnySchema, {
    typeUrl: "containerd.runc.v1.ProcessDetails",
    value: toBinary(ProcessDetailsSchema, create(ProcessDetailsSchema, { execId })),
  });
}

/** @throws TandemError invalid_argument for options of another kind */
function checkpointOptions(any: Any | undefined): CheckpointOptions {
  if (any === undefined || any.typeUrl === "") return create(CheckpointOptionsSchema);
  if (any.typeUrl !== CHECKPOINT_TYPE)
    throw new TandemError("invalid_argument", `checkpoint: expected ${CHECKPOINT_TYPE}, got ${any.typeUrl}`);
  return fromBinary(CheckpointOptionsSchema, any.value);
}

/** What an Any with JSON in it holds. */
function jsonOf(any: Any | undefined, typeUrl: string, what: string): unknown {
  if (any?.typeUrl !== typeUrl) {
    throw new TandemError(
      "invalid_argument",
      `${what}: expected ${typeUrl}, got ${any?.typeUrl || "nothing"}`,
    );
  }
  try {
    return JSON.parse(Buffer.from(any.value).toString());
  } catch (error) {
    throw new TandemError("invalid_argument", `${what}: is not JSON`, { cause: error });
  }
}
