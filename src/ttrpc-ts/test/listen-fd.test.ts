import { spawn } from "node:child_process";
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../src/index.ts";
import { Echo } from "./gen/echo_pb.ts";
import { within } from "./harness.ts";

const test = suite("listening on a descriptor");

test("a server serves a descriptor that is listening already", async () => {
  const directory = mkdtempSync(join(tmpdir(), "ttrpc-fd-"));
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(join(directory, "first"), resolve));
  const { fd } = Reflect.get(listener, "_handle") as { readonly fd: number };
  const script = join(import.meta.dirname, "fd-server.ts");
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit", fd] });
  try {
    // Moved aside, because closing the first listener removes the name it made.
    const path = join(directory, "second");
    renameSync(join(directory, "first"), path);
    listener.close();
    await within(new Promise((resolve) => child.stdout?.once("data", resolve)), "the child");
    await using client = await connect(path);
    assert.is(
      (await within(client.service(Echo).say({ text: "served" }), "say")).text,
      "served by descriptor",
    );
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
