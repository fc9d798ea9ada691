import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findWorld } from "../../wasm-host/world.ts";

const test = suite("world");

test("The interface that is exported says what a component is made for", () => {
  assert.equal(findWorld(["wasi:cli/run@0.2.3"]), { world: "command", name: "wasi:cli/run@0.2.3" });
  assert.equal(findWorld(["wasi:http/incoming-handler@0.2.0"]), {
    world: "http",
    name: "wasi:http/incoming-handler@0.2.0",
  });
  assert.equal(findWorld(["wasi:http/handler@0.3.0"]), { world: "http", name: "wasi:http/handler@0.3.0" });
  assert.equal(findWorld(["acme:anvil/drop@1.0.0"]), { world: "reactor", name: undefined });
});

test("An entry of 0.3 comes before the one of 0.2 that a toolchain puts beside it", () => {
  const both = ["wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"];
  assert.is(findWorld(both).name, "wasi:cli/run@0.3.0");
  assert.is(findWorld(["wasi:cli/run@0.2.0", "wasi:http/handler@0.3.0"]).world, "http");
});

test("A service is one whatever run a toolchain for commands puts beside it", () => {
  const handler = "wasi:http/incoming-handler@0.2.0";
  assert.equal(findWorld(["wasi:cli/run@0.2.12", handler]), { world: "http", name: handler });
  assert.is(findWorld(["wasi:cli/run@0.3.0", "wasi:http/handler@0.3.0"]).world, "http");
  assert.is(findWorld(["wasi:cli/run@0.3.0", handler]).world, "command");
});

test.run();
