import { createHash } from "node:crypto";
import type { Client } from "@grpc/grpc-js";
import type { Containerd } from "../../../scripts/private-containerd/containerd.ts";
import { Containers } from "../../../src/api/gen/containerd/services/containers/v1/containers_pb.ts";
import { Content } from "../../../src/api/gen/containerd/services/content/v1/content_pb.ts";
import { Events } from "../../../src/api/gen/containerd/services/events/v1/events_pb.ts";
import { Images } from "../../../src/api/gen/containerd/services/images/v1/images_pb.ts";
import { Snapshots } from "../../../src/api/gen/containerd/services/snapshots/v1/snapshots_pb.ts";
import { Tasks } from "../../../src/api/gen/containerd/services/tasks/v1/tasks_pb.ts";
import { createServiceClient, openChannel, type ServiceClient } from "../../../src/containerd/client.ts";
import { EventLog } from "./events.ts";

/** containerd's gRPC services as a client of it sees them. Close it before containerd is stopped. */
export class ContainerdClient implements Disposable {
  readonly containerd: Containerd;
  readonly tasks: ServiceClient<typeof Tasks>;
  readonly containers: ServiceClient<typeof Containers>;
  readonly snapshots: ServiceClient<typeof Snapshots>;
  readonly images: ServiceClient<typeof Images>;
  readonly content: ServiceClient<typeof Content>;
  readonly #channel: Client;
  readonly #eventService: ServiceClient<typeof Events>;
  #events: EventLog;

  constructor(containerd: Containerd) {
    this.containerd = containerd;
    this.#channel = openChannel(containerd.address);
    this.tasks = createServiceClient(this.#channel, Tasks);
    this.containers = createServiceClient(this.#channel, Containers);
    this.snapshots = createServiceClient(this.#channel, Snapshots);
    this.images = createServiceClient(this.#channel, Images);
    this.content = createServiceClient(this.#channel, Content);
    this.#eventService = createServiceClient(this.#channel, Events);
    this.#events = new EventLog(this.#eventService);
  }

  get events(): EventLog {
    return this.#events;
  }

  /** A subscription ends with containerd; this opens the next one. */
  subscribe(): EventLog {
    this.#events.close();
    this.#events = new EventLog(this.#eventService);
    return this.#events;
  }

  /** The snapshot that unpacking an image has left: its chain id. "" for an image without tar layers. */
  async chainId(image: string, namespace: string): Promise<string> {
    const { image: found } = await this.images.get({ name: image }, { namespace });
    const manifest = await this.#json(found?.target?.digest ?? "", namespace);
    const config = await this.#json((manifest as { config: { digest: string } }).config.digest, namespace);
    const diffs = (config as { rootfs?: { diff_ids?: string[] } }).rootfs?.diff_ids ?? [];
    return diffs.reduce((parent, diff) => (parent === "" ? diff : sha256(`${parent} ${diff}`)), "");
  }

  async #json(digest: string, namespace: string): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    for await (const { data } of this.content.read({ digest }, { namespace })) chunks.push(data);
    return JSON.parse(Buffer.concat(chunks).toString());
  }

  [Symbol.dispose](): void {
    this.#events.close();
    this.#channel.close();
  }
}

function sha256(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
