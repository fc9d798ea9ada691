import { createConnection, type Socket } from "node:net";
import { TandemError } from "../../../errors.ts";
import type { BusAddress } from "./addresses.ts";
import type { DbusValue } from "./marshal.ts";
import { decodeMessage, encodeMessage, type Message, messageTypes } from "./message.ts";

export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly DbusValue[];
}

/** What a call came to: the values of the reply, or the name and the text of a D-Bus error. */
export type Answer =
  | { readonly values: readonly DbusValue[] }
  | { readonly error: string; readonly text: string };

/**
 * dbus-specification "Authentication Protocol". The server takes the user from the socket (SO_PEERCRED): no id is sent, because
 * in a user namespace it would be another one. Nothing is waited for: each step can only succeed, or end the connection.
 */
const authentication = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/**
 * A client's side of D-Bus, as small as the few calls to systemd need it: the libraries there are take 36 ms to load, which is
 * more than a container's start. One connection serves one task and is closed.
 */
export class Bus {
  readonly #socket: Socket;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  readonly #onSignal: (signal: Message) => void;
  readonly #failed = Promise.withResolvers<never>();
  #serial = 0;
  #received = Buffer.alloc(0);
  #authenticated = false;

  private constructor(socket: Socket, onSignal: (signal: Message) => void) {
    this.#socket = socket;
    this.#onSignal = onSignal;
    // Each waiting call hears of it; without one there is nobody to tell.
    this.#failed.promise.catch(() => undefined);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#fail(TandemError.from(error, "D-Bus")));
    socket.on("close", () => this.#fail(new TandemError("unavailable", "D-Bus: the connection was closed")));
  }

  /**
   * Connects to the first address that answers.
   *
   * @param onSignal hears of every signal that the connection is sent
   * @throws TandemError failed_precondition when none does
   */
  static async connect(
    addresses: readonly BusAddress[],
    options: { readonly signal: AbortSignal; onSignal(signal: Message): void },
  ): Promise<Bus> {
    const reasons: string[] = [];
    for (const { path, direct } of addresses) {
      const socket = createConnection({ path });
      try {
        await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
      } catch (error) {
        reasons.push((error as Error).message);
        continue;
      }
      const bus = new Bus(socket, options.onSignal);
      const abort = (): void =>
        bus.#fail(new TandemError("deadline_exceeded", `D-Bus at ${path}: no answer in time`));
      if (options.signal.aborted) abort();
      options.signal.addEventListener("abort", abort, { once: true });
      socket.once("close", () => options.signal.removeEventListener("abort", abort));
      socket.write(authentication);
      if (!direct) await bus.#hello();
      return bus;
    }
    throw new TandemError("failed_precondition", `D-Bus: ${reasons.join("; ") || "no address is known"}`);
  }

  /** @throws TandemError unavailable, permission_denied or deadline_exceeded when the connection fails meanwhile */
  call(call: MethodCall): Promise<Answer> {
    const serial = ++this.#serial;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#answers.set(serial, resolve);
    this.#socket.write(
      encodeMessage({ ...call, type: messageTypes.methodCall, serial, body: call.body ?? [] }),
    );
    return Promise.race([promise, this.#failed.promise]);
  }

  /** Rejects when the connection ends: for whoever waits for a signal. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** The bus wants to be greeted; its answer, our name there, is of no use. */
  async #hello(): Promise<void> {
    const bus = "org.freedesktop.DBus";
    await this.call({ destination: bus, path: "/org/freedesktop/DBus", interface: bus, member: "Hello" });
  }

  #fail(error: TandemError): void {
    this.#failed.reject(error);
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    try {
      while (!this.#authenticated) if (!this.#receiveLine()) return;
      for (;;) {
        const next = decodeMessage(this.#received);
        if (next === undefined) return;
        this.#received = this.#received.subarray(next.length);
        this.#dispatch(next.message);
      }
    } catch (error) {
      this.#fail(TandemError.from(error));
    }
  }

  /** One line of the authentication; after OK come messages. */
  #receiveLine(): boolean {
    const end = this.#received.indexOf("\r\n");
    if (end < 0) return false;
    const line = this.#received.toString("latin1", 0, end);
    this.#received = this.#received.subarray(end + 2);
    if (line.startsWith("OK")) this.#authenticated = true;
    else if (!line.startsWith("DATA"))
      throw new TandemError("permission_denied", `D-Bus: the server does not let us in (${line})`);
    return true;
  }

  #dispatch(message: Message): void {
    if (message.type === messageTypes.signal) this.#onSignal(message);
    const { replySerial } = message;
    if (replySerial === undefined) return;
    const answer = this.#answers.get(replySerial);
    this.#answers.delete(replySerial);
    if (message.type === messageTypes.methodReturn) answer?.({ values: message.body });
    if (message.type === messageTypes.error)
      answer?.({ error: message.errorName ?? "", text: String(message.body[0] ?? "") });
  }
}
