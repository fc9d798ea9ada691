/**
 * Stands in for Node and main.mjs in a test's installation: answers the launcher's requests without forking anything, and
 * writes what it was asked to `requests` in its directory. It keeps the listening sockets, as shims would.
 *
 * TANDEM_FAKE: "" | "crash" (says why and ends) | "vanish" (dies under its first request) | "refuse" (answers with a reason)
 */
import { appendFileSync, existsSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../src/native.ts";
import { encodeReply, openRequest, toShimParameters } from "../../src/zygote/request.ts";

const directory = process.argv.at(-1) ?? "";
const behaviour = process.env["TANDEM_FAKE"] ?? "";
const vanished = join(directory, "vanished");

if (behaviour === "crash") {
  process.stderr.write("first line\nthe reason of the crash\n");
  process.exit(3);
}
const socket = join(directory, "zygote.sock");
rmSync(socket, { force: true });
// Before the socket: libuv's own descriptors are there by now, the launcher's would be among the lowest.
const descriptors = readdirSync("/proc/self/fd")
  .sort((a, b) => Number(a) - Number(b))
  .map(targetOf);
const listener = native.listenSeqpacket(socket);
writeFileSync(join(directory, "zygote.pid"), String(process.pid));
appendFileSync(
  join(directory, "starts"),
  `${JSON.stringify({ argv: process.execArgv, env: process.env, descriptors })}\n`,
);

for (;;) {
  const message = native.acceptRequest(listener);
  if (message === undefined) continue;
  if (behaviour === "vanish" && !existsSync(vanished)) {
    writeFileSync(vanished, "");
    process.kill(process.pid, "SIGKILL");
  }
  const request = openRequest(message.data, message.fds);
  const parameters = toShimParameters(request.fields);
  const stdin = parameters.stdin.toString("latin1");
  appendFileSync(
    join(directory, "requests"),
    `${JSON.stringify({ ...parameters, stdin, kind: request.fields[0]?.toString() })}\n`,
  );
  const reply = behaviour === "refuse" ? { error: "no room\nin the inn" } : { pid: 4711 };
  try {
    native.sendMessage(message.fd, encodeReply(reply), []);
  } catch {
    // Whoever asked was killed; the sockets of all others stay, as with a real one.
  }
  native.close(message.fd);
  if (behaviour === "refuse") for (const fd of request.fds) native.close(fd);
}

function targetOf(fd: string): string {
  try {
    return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`;
  } catch {
    return `${fd} closed`;
  }
}
