import type { RootfsMount } from "../bundle/rootfs.ts";
import type { ExitStatus } from "../executor/executor.ts";

/** The events of shim-protocol §4.1, in our own words; `event-publisher.ts` turns them into containerd's messages. */
export type TaskEvent =
  | {
      readonly topic: "/tasks/create";
      readonly containerId: string;
      readonly bundle: string;
      readonly rootfs: readonly RootfsMount[];
      readonly io: {
        readonly stdin: string;
        readonly stdout: string;
        readonly stderr: string;
        readonly terminal: boolean;
      };
      readonly checkpoint: string;
      readonly pid: number;
    }
  | { readonly topic: "/tasks/start"; readonly containerId: string; readonly pid: number }
  | { readonly topic: "/tasks/exec-added"; readonly containerId: string; readonly execId: string }
  | {
      readonly topic: "/tasks/exec-started";
      readonly containerId: string;
      readonly execId: string;
      readonly pid: number;
    }
  | {
      readonly topic: "/tasks/exit";
      readonly containerId: string;
      readonly id: string;
      readonly pid: number;
      readonly exit: ExitStatus;
    }
  | {
      readonly topic: "/tasks/delete";
      readonly containerId: string;
      readonly id: string;
      readonly pid: number;
      readonly exit: ExitStatus;
    }
  | { readonly topic: "/tasks/oom"; readonly containerId: string }
  | { readonly topic: "/tasks/paused"; readonly containerId: string }
  | { readonly topic: "/tasks/resumed"; readonly containerId: string };

/** Takes events in the order in which they happened. */
export interface EventSink {
  publish(event: TaskEvent): void;
}
