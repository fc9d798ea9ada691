import { create, toBinary } from "@bufbuild/protobuf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseShimAddress } from "../../benchmarks/container/launch.ts";
import { BootstrapResultSchema } from "../../src/api/gen/containerd/runtime/bootstrap/v1/bootstrap_pb.ts";

const launch = suite("benchmark launch");

launch("a plain address is version 2", () => {
  assert.equal(parseShimAddress(Buffer.from("unix:///run/s/x\n")), { path: "/run/s/x", version: 2 });
});

launch("JSON and BootstrapResult say their version", () => {
  const json = '{"version":3,"address":"unix:///run/s/x","protocol":"ttrpc"}';
  assert.equal(parseShimAddress(Buffer.from(json)), { path: "/run/s/x", version: 3 });
  const result = create(BootstrapResultSchema, { version: 3, address: "unix:///run/s/y", protocol: "ttrpc" });
  const answer = Buffer.from(toBinary(BootstrapResultSchema, result));
  assert.equal(parseShimAddress(answer), { path: "/run/s/y", version: 3 });
});

launch("a shim that speaks gRPC, or no unix socket, is refused", () => {
  const grpc = '{"version":3,"address":"unix:///run/s/x","protocol":"grpc"}';
  assert.throws(() => parseShimAddress(Buffer.from(grpc)), /no ttrpc socket/);
  assert.throws(
    () => parseShimAddress(Buffer.from('{"version":2,"address":"vsock://3:1"}')),
    /no ttrpc socket/,
  );
});

launch.run();
