/** What a client says of a server that reads the call and then says nothing: the server is the test. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, globSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { native } from "../../src/native.ts";
import { toClient, toServer } from "../../src/oci/protocol.ts";
import { processStat } from "../../src/process-stat.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";
import { tandem } from "./run-guest.ts";

const silence = suite("tandem-oci: a silent server");
let oci: OciCommands;
let listener: number;

silence.before(async () => {
  oci = new OciCommands();
  await oci.ok("list");
  const [socket = ""] = globSync(join(oci.runDirectory, "z/*/oci.sock"));
  const { server = 0 } = oci.servers() ?? {};
  process.kill(server, "SIGTERM");
  await waitFor(() => !existsSync(`/proc/${server}`), 10_000, "the end of the real server");
  listener = native.listenSeqpacket(socket);
  const { startTime } = processStat(process.pid) ?? { startTime: "" };
  writeFileSync(join(dirname(socket), "oci.pid"), `${process.pid} ${startTime}\n`);
});
silence.after(async () => {
  closeSync(listener);
  await oci[Symbol.asyncDispose]();
});

/** The kind of the next message that a client sends; undefined for as long as it sends none. */
function heard(socket: number): number | undefined {
  return native.receiveMessage(socket, { nonBlocking: true })?.data[0];
}

async function called(
  name: string,
): Promise<{ readonly output: string; ended: Promise<number>; socket: number }> {
  const output = join(oci.directory, name);
  const ended = exitOf(oci.spawn(["list"], output));
  const { fd, data } = native.acceptRequest(listener, 10_000) ?? { fd: -1, data: Buffer.of() };
  assert.is(data[0], toServer.call);
  return { output, ended, socket: fd };
}

silence("one that answers that it is there may take its time", async () => {
  const { output, ended, socket } = await called("busy");
  for (let round = 0; round < 2; round++) {
    await waitFor(() => heard(socket) === toServer.ping, 15_000, "the question");
    native.sendMessage(socket, Buffer.of(toClient.pong), []);
  }
  native.sendMessage(socket, Buffer.concat([Buffer.of(toClient.output), Buffer.from("done\n")]), []);
  native.sendMessage(socket, Buffer.of(toClient.exit, 5), []);
  assert.is(await ended, 5);
  assert.is(readFileSync(output, "utf8"), "done\n");
  closeSync(socket);
});

silence("descriptors that come after such an answer arrive, too", async () => {
  const output = join(oci.directory, "guest");
  const fd = openSync(output, "w");
  const child = spawn(tandem, ["run", "guest.wasm"], {
    env: { ...process.env, ...oci.environment },
    stdio: ["ignore", fd, fd],
  });
  closeSync(fd);
  const ended = exitOf(child);
  const { fd: socket, data } = native.acceptRequest(listener, 10_000) ?? { fd: -1, data: Buffer.of() };
  assert.is(data[0], toServer.run);
  await waitFor(() => heard(socket) === toServer.ping, 15_000, "the question");
  native.sendMessage(socket, Buffer.of(toClient.pong), []);
  const guest = spawn("sleep", ["60"], { stdio: "ignore" });
  const [pidfd, [read, go]] = [native.pidfdOpen(guest.pid ?? 0), native.pipe()];
  native.sendMessage(socket, Buffer.of(toClient.guest), [pidfd, go]);
  closeSync(go);
  const byte = Buffer.alloc(1);
  assert.is(readSync(read, byte), 1);
  assert.is(byte.toString(), "1");
  // Signals reach the guest, also when one more sign of life comes behind it.
  native.sendMessage(socket, Buffer.of(toClient.pong), []);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const killed = once(guest, "exit");
  child.kill("SIGTERM");
  assert.equal(await killed, [null, "SIGTERM"]);
  native.sendMessage(socket, Buffer.of(toClient.exit, 7), []);
  assert.is(await ended, 7);
  assert.is(readFileSync(output, "utf8"), "");
  for (const one of [pidfd, read, socket]) closeSync(one);
});

silence("a call that was read is not made again when its server has ended", async () => {
  const { output, ended, socket } = await called("read");
  closeSync(socket);
  assert.is(await ended, 1);
  assert.match(readFileSync(output, "utf8"), /^tandem-oci: the server ended; see zygote\.log below /);
  assert.is(native.acceptRequest(listener, 100), undefined);
});

silence("one that has read the call and hangs is told of, once, with its state", async () => {
  const { output, ended, socket } = await called("hangs");
  await waitFor(() => heard(socket) === toServer.ping, 15_000, "the question");
  await waitFor(() => readFileSync(output, "utf8") !== "", 10_000, "a word");
  const told = new RegExp(
    `^tandem-oci: still waiting for the server, pid ${process.pid} in state [RS]; see docs/debugging\\.md\n$`,
  );
  assert.match(readFileSync(output, "utf8"), told);
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  assert.match(readFileSync(output, "utf8"), told);
  native.sendMessage(socket, Buffer.of(toClient.exit, 0), []);
  assert.is(await ended, 0);
  closeSync(socket);
});

silence.run();
