/** A manager that speaks D-Bus on a socket of the test's own and remembers what it was asked. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BusAddress } from "../../src/isolation/systemd/dbus/addresses.ts";
import type { DbusValue } from "../../src/isolation/systemd/dbus/marshal.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  messageTypes,
} from "../../src/isolation/systemd/dbus/message.ts";
import { managerAddresses } from "../../src/isolation/systemd/manager-addresses.ts";

export interface Call {
  readonly member: string;
  readonly body: readonly DbusValue[];
}

/** What to answer: values with their signature, an error, or nothing at all. */
export type Reply =
  | { readonly signature?: string; readonly body?: readonly DbusValue[] }
  | { readonly error: string; readonly text: string }
  | "silence";

export interface FakeSystemd extends AsyncDisposable {
  /** For `Manager.use`. */
  readonly addresses: readonly BusAddress[];
  readonly calls: readonly Call[];
}

export interface FakeOptions {
  /** Instead of what a manager in health answers. */
  readonly reply?: (call: Call) => Reply | undefined;
  /** How each job ends; default "done". */
  readonly jobResult?: string;
  /** Whether the job's end is told before the call that began it is answered. */
  readonly resultFirst?: boolean;
  /** "bus", or the manager's private socket. */
  readonly socket?: "bus" | "systemd/private";
  readonly authentication?: string;
}

const jobPath = "/org/freedesktop/systemd1/job/7";

export async function fakeSystemd(options: FakeOptions = {}): Promise<FakeSystemd> {
  const directory = mkdtempSync(join(tmpdir(), "tandem-systemd-"));
  mkdirSync(join(directory, "systemd"));
  const calls: Call[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    serve(socket, options, calls);
  });
  await new Promise<void>((resolve) => server.listen(join(directory, options.socket ?? "bus"), resolve));
  return {
    addresses: managerAddresses("user", { XDG_RUNTIME_DIR: directory }),
    calls,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function serve(socket: Socket, options: FakeOptions, calls: Call[]): void {
  let received = Buffer.alloc(0);
  let authenticated = false;
  let serial = 0;
  const send = (message: Omit<Message, "serial" | "body"> & { body?: readonly DbusValue[] }): void => {
    const bytes = encodeMessage({ body: [], ...message, serial: ++serial });
    // In two pieces: a client must put messages together by itself.
    socket.write(bytes.subarray(0, 21));
    socket.write(bytes.subarray(21));
  };
  const answer = (message: Message): void => {
    const call = { member: message.member ?? "", body: message.body };
    calls.push(call);
    const reply = options.reply?.(call) ?? usualReply(call);
    if (reply === "silence") return;
    const ends = call.member === "StartTransientUnit" || call.member === "StopUnit";
    const end = (): void =>
      send({
        type: messageTypes.signal,
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "JobRemoved",
        signature: "uoss",
        body: [7, jobPath, String(call.body[0]), options.jobResult ?? "done"],
      });
    if (ends && options.resultFirst === true) end();
    const { serial: replySerial } = message;
    if ("error" in reply)
      send({
        type: messageTypes.error,
        replySerial,
        errorName: reply.error,
        signature: "s",
        body: [reply.text],
      });
    else send({ type: messageTypes.methodReturn, replySerial, ...reply });
    if (ends && options.resultFirst !== true && !("error" in reply)) end();
  };
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (!authenticated) {
      const end = received.indexOf("BEGIN\r\n");
      if (end < 0) return;
      received = received.subarray(end + 7);
      authenticated = true;
      socket.write(options.authentication ?? "DATA\r\nOK 0123456789abcdef\r\n");
    }
    for (let next = decodeMessage(received); next !== undefined; next = decodeMessage(received)) {
      received = received.subarray(next.length);
      answer(next.message);
    }
  });
  socket.on("error", () => undefined);
}

function usualReply({ member, body }: Call): Reply {
  switch (member) {
    case "Hello":
      return { signature: "s", body: [":1.1"] };
    case "StartTransientUnit":
    case "StopUnit":
      return { signature: "o", body: [jobPath] };
    case "Get":
      return { signature: "v", body: [{ signature: "s", value: "252.39-1~deb12u1" }] };
    case "AddMatch":
    case "Subscribe":
    case "SetUnitProperties":
    case "ResetFailedUnit":
      return {};
    default:
      return { error: "org.freedesktop.DBus.Error.UnknownMethod", text: `${member} ${body.length}` };
  }
}
