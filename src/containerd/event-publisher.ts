import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate, timestampNow } from "@bufbuild/protobuf/wkt";
import { type Client, connect } from "ttrpc-ts";
import * as events from "../api/gen/containerd/events/task_pb.ts";
import {
  Events,
  type ForwardRequestSchema,
} from "../api/gen/containerd/services/events/ttrpc/v1/events_pb.ts";
import type { ExitStatus } from "../executor/executor.ts";
import type { Log } from "../log.ts";
import type { EventSink, TaskEvent } from "../task/events.ts";

type ForwardRequest = MessageInitShape<typeof ForwardRequestSchema>;

const CALL_TIMEOUT_MS = 5_000;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 5_000;
/** A daemon restart takes seconds; an event nobody has taken for this long is dropped. */
const GIVE_UP_MS = 10 * 60_000;
const MAX_QUEUE = 2_048;

/**
 * Sends events to containerd over ttrpc, one after the other and in the order of publication, and tries the first again until it
 * is taken: docker and CRI depend on the exit event, and containerd may be restarting (shim-protocol §4.3).
 */
export class EventPublisher implements EventSink {
  readonly #options: { readonly address: string; readonly namespace: string; readonly log: Log };
  readonly #queue: { readonly request: ForwardRequest; readonly topic: string; readonly since: number }[] =
    [];
  #client: Client | undefined;
  #sending: Promise<void> | undefined;

  constructor(options: { readonly address: string; readonly namespace: string; readonly log: Log }) {
    this.#options = options;
  }

  publish(event: TaskEvent): void {
    // CRI-O's "vm" type gives no address and learns everything through Wait.
    if (this.#options.address === "") return;
    if (this.#queue.length >= MAX_QUEUE) {
      const dropped = this.#queue.shift();
      this.#options.log.error({ topic: dropped?.topic }, "event queue is full, the oldest event is dropped");
    }
    this.#queue.push({
      request: toRequest(event, this.#options.namespace),
      topic: event.topic,
      since: Date.now(),
    });
    this.#sending ??= this.#send();
  }

  /** Resolves when everything is sent, or after the given time. */
  async flush(milliseconds: number): Promise<void> {
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, milliseconds).unref());
    await Promise.race([this.#sending ?? Promise.resolve(), timeout]);
  }

  close(): void {
    // Resolves and never rejects; nobody needs to know when.
    void this.#client?.close();
  }

  async #send(): Promise<void> {
    let delay = RETRY_MIN_MS;
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      try {
        await this.#forward(head.request);
        this.#queue.shift();
        delay = RETRY_MIN_MS;
      } catch (error) {
        if (isRefused(error) || Date.now() - head.since > GIVE_UP_MS) {
          this.#options.log.error({ err: error, topic: head.topic }, "event is dropped");
          this.#queue.shift();
          continue;
        }
        await this.#client?.close();
        this.#client = undefined;
        await new Promise((resolve) => setTimeout(resolve, delay));
        delay = Math.min(delay * 2, RETRY_MAX_MS);
      }
    }
    this.#sending = undefined;
  }

  async #forward(request: ForwardRequest): Promise<void> {
    this.#client ??= await connect(this.#options.address);
    await this.#client.service(Events).forward(request, {
      timeoutMs: CALL_TIMEOUT_MS,
      metadata: { "containerd-namespace-ttrpc": this.#options.namespace },
    });
  }
}

/** containerd took a look and said no: trying again would not change that. */
function isRefused(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "invalid_argument" || code === "unimplemented" || code === "permission_denied";
}

function toRequest(event: TaskEvent, namespace: string): ForwardRequest {
  return { envelope: { timestamp: timestampNow(), namespace, topic: event.topic, event: toAny(event) } };
}

/** @see shim-protocol §4.1 */
function toAny(event: TaskEvent): { typeUrl: string; value: Uint8Array } {
  switch (event.topic) {
    case "/tasks/create": {
      const { containerId, bundle, io, checkpoint, pid } = event;
      const rootfs = event.rootfs.map(({ type, source, target, options }) => ({
        type,
        source,
        target,
        options: [...options],
      }));
      const { stdin, stdout, stderr, terminal } = io;
      const message = {
        containerId,
        bundle,
        rootfs,
        io: { stdin, stdout, stderr, terminal },
        checkpoint,
        pid,
      };
      return pack(events.TaskCreateSchema, message);
    }
    case "/tasks/start":
      return pack(events.TaskStartSchema, { containerId: event.containerId, pid: event.pid });
    case "/tasks/exec-added":
      return pack(events.TaskExecAddedSchema, { containerId: event.containerId, execId: event.execId });
    case "/tasks/exec-started":
      return pack(events.TaskExecStartedSchema, {
        containerId: event.containerId,
        execId: event.execId,
        pid: event.pid,
      });
    case "/tasks/exit":
      return pack(events.TaskExitSchema, ended(event));
    case "/tasks/delete":
      return pack(events.TaskDeleteSchema, ended(event));
    case "/tasks/oom":
      return pack(events.TaskOOMSchema, { containerId: event.containerId });
    case "/tasks/paused":
      return pack(events.TaskPausedSchema, { containerId: event.containerId });
    case "/tasks/resumed":
      return pack(events.TaskResumedSchema, { containerId: event.containerId });
  }
}

function ended({ containerId, id, pid, exit }: Extract<TaskEvent, { exit: ExitStatus }>): {
  containerId: string;
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt: Timestamp;
} {
  return { containerId, id, pid, exitStatus: exit.status, exitedAt: timestampFromDate(exit.exitedAt) };
}

function pack<S extends DescMessage>(
  schema: S,
  message: MessageInitShape<S>,
): { typeUrl: string; value: Uint8Array } {
  const shape: MessageShape<S> = create(schema, message);
  return { typeUrl: schema.typeName, value: toBinary(schema, shape) };
}
