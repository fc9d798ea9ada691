import { join } from "node:path";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Version } from "../../src/api/gen/containerd/services/version/v1/version_pb.ts";
import { createServiceClient, openChannel } from "../../src/containerd/client.ts";
import { type Containerd, openContainerd } from "../../src/containerd/containerd.ts";
import { FakeContainerd, grpcError, toService, unary } from "../support/fake-containerd.ts";
import { rejects } from "../support/rejects.ts";

interface Context {
  fake: FakeContainerd;
  containerd: Containerd;
}

const client = suite<Context>("client");

client.before.each(async (context) => {
  context.fake = await new FakeContainerd().start();
  context.containerd = openContainerd(context.fake.address);
});

client.after.each(({ fake, containerd }) => {
  containerd.close();
  fake.stop();
});

client("the namespace goes with a call, and with each its own", async ({ fake, containerd }) => {
  fake.containers.set("one/c", "image-of-one");
  fake.containers.set("two/c", "image-of-two");
  const images = await Promise.all(
    ["one", "two"].map(
      async (namespace) => (await containerd.containers.get({ id: "c" }, { namespace })).container?.image,
    ),
  );
  assert.equal(images, ["image-of-one", "image-of-two"]);
});

client("an error keeps its code and says which call it was", async ({ containerd }) => {
  const call = () => containerd.containers.get({ id: "x" }, { namespace: "ns" });
  await rejects(
    call,
    "not_found",
    /^containerd Containers\.Get: container "x" in namespace "ns": not found$/,
  );
});

client("a method that the server does not have is unimplemented", async ({ containerd }) => {
  await rejects(
    () => containerd.containers.list({}, { namespace: "ns" }),
    "unimplemented",
    /Containers\.List/,
  );
});

client("no containerd at the address is unavailable", async ({ fake }) => {
  const nobody = openContainerd(join(fake.directory, "nobody.sock"));
  try {
    await rejects(() => nobody.images.get({ name: "x" }, { timeoutMs: 5_000 }), "unavailable", /Images\.Get/);
  } finally {
    nobody.close();
  }
});

client("a deadline ends a call that is not answered", async ({ fake, containerd }) => {
  const blob = fake.put("x", Buffer.from("x"));
  const held = Promise.withResolvers<void>();
  fake.beforeRead = () => held.promise;
  const read = async () => {
    for await (const _ of containerd.content.read({ digest: blob.digest }, { timeoutMs: 50 }))
      assert.unreachable();
  };
  await rejects(read, "deadline_exceeded", /Content\.Read/);
  held.resolve();
});

client("a signal cancels a call that is not answered", async ({ fake, containerd }) => {
  const blob = fake.put("x", Buffer.from("x"));
  const held = Promise.withResolvers<void>();
  fake.beforeRead = () => held.promise;
  const abort = new AbortController();
  const read = async () => {
    for await (const _ of containerd.content.read({ digest: blob.digest }, { signal: abort.signal }))
      assert.unreachable();
  };
  const failed = rejects(read, "unavailable", /Content\.Read/);
  abort.abort();
  await failed;
  held.resolve();
});

client(
  "a stream that its reader leaves early is cancelled and nothing is raised",
  async ({ fake, containerd }) => {
    const blob = fake.put("x", Buffer.alloc(12 << 20));
    for await (const message of containerd.content.read({ digest: blob.digest })) {
      assert.is(message.offset, 0n);
      break;
    }
    await rejects(() => containerd.containers.get({ id: "still" }), "not_found", /still/);
  },
);

client("every status of gRPC becomes one of our codes", async ({ fake }) => {
  const server = new Server();
  let next: status = status.UNKNOWN;
  const failing = unary(Version.method.version, () => {
    throw grpcError(next, "as asked");
  });
  server.addService(...toService(Version, { version: failing }));
  const address = join(fake.directory, "version.sock");
  await new Promise((resolve) =>
    server.bindAsync(`unix:${address}`, ServerCredentials.createInsecure(), resolve),
  );
  const channel = openChannel(address);
  const version = createServiceClient(channel, Version);
  try {
    for (next = 1; next <= 16; next += 1) {
      const error = (await version.version({}).catch((thrown: unknown) => thrown)) as {
        name: string;
        code: string;
      };
      assert.is(error.name, "TandemError", `status ${next}`);
      if (next === status.PERMISSION_DENIED) assert.is(error.code, "permission_denied");
    }
  } finally {
    channel.close();
    server.forceShutdown();
  }
});

client.run();
