import { constants } from "node:os";
import { native } from "../../../src/native.ts";
import { firstStream } from "./first-stream.ts";
import type { Head1 } from "./request-head.ts";
import type { HandedOver } from "./server-core.ts";

const { EAGAIN } = constants.errno;

/** RFC 9113 §3.4 and §4.1 */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const frameHeader = 9;
const SETTINGS = 4;
/** Without an acknowledgement, a client's first frame is small. */
const largestSettings = 1024;

export interface Upgrade {
  readonly head: Head1;
  /** Of the HTTP2-Settings field. */
  readonly settings: Buffer;
}

interface Start {
  readonly limitMs: number;
  onReady(socket: HandedOver): void;
  onFailure(): void;
}

/**
 * A connection between the 101 and HTTP/2. Node's HTTP/2 knows no upgrade, but one is the same, byte for byte, as a connection whose client
 * has sent its request as the first stream: so it waits for the client's preface with its first frame, which is SETTINGS, puts the
 * settings of the upgrade into that, and the request behind it.
 */
export class UpgradingSocket {
  readonly #fd: number;
  readonly #upgrade: Upgrade;
  #bytes: Buffer;
  #stop: (() => void) | undefined;

  constructor({ fd, bytes }: HandedOver, upgrade: Upgrade) {
    this.#fd = fd;
    this.#bytes = bytes;
    this.#upgrade = upgrade;
  }

  start({ limitMs, onReady, onFailure }: Start): void {
    const end = (): void => {
      clearTimeout(timer);
      this.#stop?.();
    };
    const fail = (): void => {
      end();
      native.close(this.#fd);
      onFailure();
    };
    const timer = setTimeout(fail, limitMs);
    const look = (): void => {
      if (!this.#receive()) {
        fail();
        return;
      }
      const whole = this.#firstFrame();
      if (whole === "wrong") {
        fail();
        return;
      }
      if (whole === undefined) return;
      end();
      onReady({ fd: this.#fd, bytes: this.#compose(whole) });
    };
    this.#stop = native.onReadable(this.#fd, look);
    if (this.#bytes.length > 0) look();
  }

  /** false when the client is gone. */
  #receive(): boolean {
    const room = Buffer.allocUnsafe(4096);
    const length = native.socketReceive(this.#fd, room, room.length);
    if (length > 0) this.#bytes = Buffer.concat([this.#bytes, room.subarray(0, length)]);
    return length > 0 || length === -EAGAIN;
  }

  /** Where the client's SETTINGS frame ends, once it is there. */
  #firstFrame(): number | "wrong" | undefined {
    const bytes = this.#bytes;
    const known = Math.min(bytes.length, preface.length);
    if (bytes.compare(preface, 0, known, 0, known) !== 0) return "wrong";
    const start = preface.length;
    if (bytes.length < start + frameHeader) return undefined;
    const length = bytes.readUIntBE(start, 3);
    const acknowledges = ((bytes[start + 4] ?? 0) & 1) === 1;
    if (bytes[start + 3] !== SETTINGS || acknowledges || length > largestSettings || length % 6 !== 0)
      return "wrong";
    const end = start + frameHeader + length;
    return bytes.length < end ? undefined : end;
  }

  #compose(end: number): Buffer {
    const { head, settings } = this.#upgrade;
    const own = this.#bytes.subarray(preface.length + frameHeader, end);
    const frame = Buffer.alloc(frameHeader);
    frame.writeUIntBE(settings.length + own.length, 0, 3);
    frame[3] = SETTINGS;
    return Buffer.concat([preface, frame, settings, own, firstStream(head), this.#bytes.subarray(end)]);
  }
}
