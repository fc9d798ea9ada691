import { Containers } from "../api/gen/containerd/services/containers/v1/containers_pb.ts";
import { Content } from "../api/gen/containerd/services/content/v1/content_pb.ts";
import { Images } from "../api/gen/containerd/services/images/v1/images_pb.ts";
import { Leases } from "../api/gen/containerd/services/leases/v1/leases_pb.ts";
import { createServiceClient, openChannel, type ServiceClient } from "./client.ts";

/** The services of one containerd that the product uses, over one connection. */
export interface Containerd {
  readonly containers: ServiceClient<typeof Containers>;
  readonly images: ServiceClient<typeof Images>;
  readonly content: ServiceClient<typeof Content>;
  readonly leases: ServiceClient<typeof Leases>;
  close(): void;
}

/** Connects with the first call, not here. `address` is the path of containerd's gRPC socket. */
export function openContainerd(address: string): Containerd {
  const channel = openChannel(address);
  return {
    containers: createServiceClient(channel, Containers),
    images: createServiceClient(channel, Images),
    content: createServiceClient(channel, Content),
    leases: createServiceClient(channel, Leases),
    close: () => channel.close(),
  };
}
