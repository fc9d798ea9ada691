import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { Containers } from "../../src/api/gen/containerd/services/containers/v1/containers_pb.ts";
import {
  Content,
  type ReadContentRequest,
  WriteAction,
  type WriteContentRequest,
} from "../../src/api/gen/containerd/services/content/v1/content_pb.ts";
import { Images } from "../../src/api/gen/containerd/services/images/v1/images_pb.ts";
import { Leases } from "../../src/api/gen/containerd/services/leases/v1/leases_pb.ts";

export interface FakeDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** A containerd in memory: enough of containers, images, content and leases for what the product asks of them. */
export class FakeContainerd {
  readonly directory = mkdtempSync(join(tmpdir(), "tandem-fake-containerd-"));
  readonly address = join(this.directory, "containerd.sock");
  /** `namespace/id` → image name. */
  readonly containers = new Map<string, string>();
  /** `namespace/name` → target. */
  readonly images = new Map<string, FakeDescriptor>();
  /** digest → what Read answers, which may be a lie. */
  readonly blobs = new Map<string, Uint8Array>();
  readonly leases = new Map<string, Readonly<Record<string, string>>>();
  /** What leases were asked to keep: "content sha256:…". */
  readonly leased: string[] = [];
  readonly written: { labels: Readonly<Record<string, string>>; lease: string }[] = [];
  /** Method and argument of every call, in order. */
  readonly calls: string[] = [];
  /** Awaited in every Read, so that a test can hold them. */
  beforeRead: () => Promise<void> = () => Promise.resolve();
  readonly #server = new Server();

  async start(): Promise<this> {
    this.#server.addService(...toService(Containers, this.#containers()));
    this.#server.addService(...toService(Images, this.#images()));
    this.#server.addService(...toService(Content, this.#content()));
    this.#server.addService(...toService(Leases, this.#leases()));
    await new Promise<void>((resolve, reject) => {
      this.#server.bindAsync(`unix:${this.address}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Stores bytes under their true digest. */
  put(mediaType: string, data: Uint8Array | object): FakeDescriptor {
    const bytes = data instanceof Uint8Array ? data : Buffer.from(JSON.stringify(data));
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /** A container `c` in namespace `ns` of an image whose target is this. */
  run(target: FakeDescriptor, imageName = "example/app:1"): void {
    this.containers.set("ns/c", imageName);
    this.images.set(`ns/${imageName}`, target);
  }

  #containers(): Handlers {
    return {
      get: unary(Containers.method.get, ({ id }, metadata) => {
        this.calls.push(`containers.get ${id}`);
        const image = this.containers.get(`${namespaceOf(metadata)}/${id}`);
        if (image === undefined)
          throw grpcError(
            status.NOT_FOUND,
            `container "${id}" in namespace "${namespaceOf(metadata)}": not found`,
          );
        return { container: { id, image } };
      }),
    };
  }

  #images(): Handlers {
    return {
      get: unary(Images.method.get, ({ name }, metadata) => {
        this.calls.push(`images.get ${name}`);
        const target = this.images.get(`${namespaceOf(metadata)}/${name}`);
        if (target === undefined) throw grpcError(status.NOT_FOUND, `image "${name}": not found`);
        const { mediaType, digest, size } = target;
        return { image: { name, target: { mediaType, digest, size: BigInt(size) } } };
      }),
    };
  }

  #content(): Handlers {
    return {
      read: (call: ServerWritableStream<ReadContentRequest, unknown>) => void this.#read(call),
      write: (call: ServerDuplexStream<WriteContentRequest, unknown>) => this.#write(call),
    };
  }

  async #read(call: ServerWritableStream<ReadContentRequest, unknown>): Promise<void> {
    const { digest, offset, size } = call.request;
    this.calls.push(`content.read ${digest}`);
    await this.beforeRead();
    const blob = this.blobs.get(digest);
    if (blob === undefined) {
      call.emit("error", grpcError(status.NOT_FOUND, `content ${digest}: not found`));
      return;
    }
    const end = size === 0n ? blob.length : Math.min(blob.length, Number(offset + size));
    for (let at = Number(offset); at < end; at += 1 << 20) {
      call.write({ offset: BigInt(at) - offset, data: blob.subarray(at, Math.min(end, at + (1 << 20))) });
    }
    call.end();
  }

  #write(call: ServerDuplexStream<WriteContentRequest, unknown>): void {
    const parts: Uint8Array[] = [];
    call.on("data", (request: WriteContentRequest) => {
      this.calls.push(`content.write ${request.action}`);
      if (request.action === WriteAction.STAT && this.blobs.has(request.expected)) {
        call.emit("error", grpcError(status.ALREADY_EXISTS, `content ${request.expected}: already exists`));
        return;
      }
      if (request.action === WriteAction.WRITE) parts.push(request.data);
      const bytes = Buffer.concat(parts);
      if (request.action === WriteAction.COMMIT) {
        this.blobs.set(digestOf(bytes), bytes);
        this.written.push({
          labels: request.labels,
          lease: String(call.metadata.get("containerd-lease")[0] ?? ""),
        });
      }
      call.write({ action: request.action, offset: BigInt(bytes.length), digest: request.expected });
    });
    call.on("end", () => call.end());
  }

  #leases(): Handlers {
    return {
      create: unary(Leases.method.create, ({ labels }) => {
        const id = `lease-${this.leases.size}`;
        this.leases.set(id, labels);
        return { lease: { id, labels } };
      }),
      addResource: unary(Leases.method.addResource, ({ id, resource }) => {
        if (!this.leases.has(id)) throw grpcError(status.NOT_FOUND, `lease "${id}": not found`);
        this.leased.push(`${resource?.type} ${resource?.id}`);
        return {};
      }),
      delete: unary(Leases.method.delete, ({ id }) => {
        if (!this.leases.delete(id)) throw grpcError(status.NOT_FOUND, `lease "${id}": not found`);
        return {};
      }),
    };
  }
}

type Handlers = Readonly<Record<string, UntypedHandleCall>>;

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function namespaceOf(metadata: Metadata): string {
  return String(metadata.get("containerd-namespace")[0] ?? "");
}

export function grpcError(code: status, details: string): Error {
  return Object.assign(new Error(details), { code, details });
}

/** A handler that answers or throws. */
export function unary<I extends DescMessage, O extends DescMessage>(
  _method: DescMethod & { readonly input: I; readonly output: O },
  answer: (request: MessageShape<I>, metadata: Metadata) => MessageInitShape<O>,
): UntypedHandleCall {
  return (call: ServerUnaryCall<MessageShape<I>, unknown>, callback: sendUnaryData<unknown>) => {
    try {
      callback(null, answer(call.request, call.metadata));
    } catch (error) {
      callback(error as Error);
    }
  };
}

type ServiceArguments = Parameters<Server["addService"]>;

/** A protobuf-es service as grpc-js wants it. */
export function toService(service: DescService, handlers: Handlers): ServiceArguments {
  const definition: Record<string, ServiceArguments[0][string]> = {};
  for (const { name, localName, methodKind, input, output } of service.methods) {
    definition[localName] = {
      path: `/${service.typeName}/${name}`,
      requestStream: methodKind === "bidi_streaming" || methodKind === "client_streaming",
      responseStream: methodKind === "bidi_streaming" || methodKind === "server_streaming",
      requestSerialize: (value: unknown) => serialize(input, value),
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
      responseSerialize: (value: unknown) => serialize(output, value),
      responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
    };
  }
  return [definition, handlers];
}

function serialize(schema: DescMessage, value: unknown): Buffer {
  return Buffer.from(toBinary(schema, create(schema, value as MessageInitShape<DescMessage>)));
}
