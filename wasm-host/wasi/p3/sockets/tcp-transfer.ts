import { constants } from "node:os";
import { errorCodeFrom, NetworkError } from "../../../network/error-code.ts";
import type { TcpSocket } from "../../../network/tcp-socket.ts";
import { done, err, type Result } from "../../p2/result.ts";
import { type GuestStream, pump } from "../guest-stream.ts";
import type { ChunkSource } from "../host-stream.ts";
import { DescriptorWait } from "./descriptor-wait.ts";
import { type ErrorCode, errorCodeOf } from "./error-code.ts";

const { EAGAIN } = constants.errno;

/** What the peer sends, until it ends its side. A guest that drops the stream wants no more of it: shutdown(SHUT_RD). */
export function receiveFrom(socket: TcpSocket): ChunkSource<Uint8Array> {
  const wait = new DescriptorWait();
  socket.hold();
  return {
    async next(most) {
      while (!wait.stopped) {
        const buffer = new Uint8Array(most);
        const count = socket.receive(buffer, most);
        if (count > 0) return buffer.subarray(0, count);
        if (count === 0) return undefined;
        if (count !== -EAGAIN) throw new NetworkError(errorCodeFrom(count));
        await wait.until(socket.fd, "readable");
      }
      return undefined;
    },
    close() {
      wait.stop();
      socket.shutdown("receive");
      socket.release();
    },
  };
}

/** Sends what the guest writes; its end is that of our side: shutdown(SHUT_WR). */
export async function sendTo(socket: TcpSocket, data: GuestStream): Promise<Result<undefined, ErrorCode>> {
  socket.hold();
  try {
    const failure = await pump(data, (bytes) => sendAll(socket, bytes));
    if (failure !== undefined) return err(errorCodeOf(failure));
    socket.shutdown("send");
    return done;
  } finally {
    socket.release();
  }
}

async function sendAll(socket: TcpSocket, bytes: Uint8Array): Promise<void> {
  const wait = new DescriptorWait();
  for (let sent = 0; sent < bytes.length; ) {
    const count = socket.send(bytes, sent);
    if (count >= 0) sent += count;
    else if (count === -EAGAIN) await wait.until(socket.fd, "writable");
    else throw new NetworkError(errorCodeFrom(count));
  }
}
