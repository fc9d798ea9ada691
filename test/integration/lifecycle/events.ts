import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { waitFor } from "../../../scripts/private-containerd/wait-for.ts";
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from "../../../src/api/gen/containerd/events/task_pb.ts";
import type { Events } from "../../../src/api/gen/containerd/services/events/v1/events_pb.ts";
import type { ServiceClient } from "../../../src/containerd/client.ts";

/** A task event with the fields that tests look at; absent ones are of other kinds of events. */
export interface TaskEvent {
  readonly topic: string;
  readonly namespace: string;
  readonly containerId: string;
  readonly execId?: string;
  /** Of an exit: the exec's id, or the container's. */
  readonly id?: string;
  readonly pid?: number;
  readonly exitStatus?: number;
}

const schemas: Readonly<Record<string, DescMessage>> = {
  "/tasks/create": TaskCreateSchema,
  "/tasks/start": TaskStartSchema,
  "/tasks/exit": TaskExitSchema,
  "/tasks/delete": TaskDeleteSchema,
  "/tasks/oom": TaskOOMSchema,
  "/tasks/exec-added": TaskExecAddedSchema,
  "/tasks/exec-started": TaskExecStartedSchema,
  "/tasks/paused": TaskPausedSchema,
  "/tasks/resumed": TaskResumedSchema,
};

/** Everything that containerd says about tasks, from the moment it is opened. */
export class EventLog {
  readonly seen: TaskEvent[] = [];
  readonly #abort = new AbortController();
  #ended = false;

  constructor(events: ServiceClient<typeof Events>) {
    const stream = events.subscribe({}, { signal: this.#abort.signal, timeoutMs: 900_000 });
    const read = async (): Promise<void> => {
      for await (const { topic, namespace, event } of stream) {
        const schema = schemas[topic];
        if (schema === undefined || event === undefined) continue;
        const message = fromBinary(schema, event.value) as Message & Omit<TaskEvent, "topic" | "namespace">;
        this.seen.push({ ...message, topic, namespace });
      }
    };
    // The stream ends with containerd; a test that waits for an event then says what it has not seen.
    read().then(
      () => this.#end(),
      () => this.#end(),
    );
  }

  #end(): void {
    this.#ended = true;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  of(containerId: string): TaskEvent[] {
    return this.seen.filter((event) => event.containerId === containerId);
  }

  /** Topics of a container's events in order, without "/tasks/"; exits of execs carry the exec's id. */
  story(containerId: string): string[] {
    return this.of(containerId).map(({ topic, execId, id }) => {
      const name = topic.slice("/tasks/".length);
      const exec = execId || (name === "exit" && id !== containerId ? id : "");
      return exec ? `${name} ${exec}` : name;
    });
  }

  async next(containerId: string, topic: string, matches: (event: TaskEvent) => boolean = () => true) {
    const find = (): TaskEvent | undefined =>
      this.of(containerId).find((event) => event.topic === `/tasks/${topic}` && matches(event));
    return await waitFor(find, 15_000, `event ${topic} of ${containerId}`).catch((cause: unknown) => {
      throw new Error(`no event ${topic} of ${containerId}, only: ${this.story(containerId).join(", ")}`, {
        cause,
      });
    });
  }

  close(): void {
    this.#abort.abort();
  }
}
