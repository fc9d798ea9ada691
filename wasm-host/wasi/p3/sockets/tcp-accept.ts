import type { NetworkErrorCode } from "../../../network/error-code.ts";
import type { TcpSocket } from "../../../network/tcp-socket.ts";
import type { ChunkSource } from "../host-stream.ts";
import { DescriptorWait } from "./descriptor-wait.ts";

/** Errors of a listener that go away by themselves; the kernel keeps saying that it is readable meanwhile. */
const passing: ReadonlySet<NetworkErrorCode> = new Set(["new-socket-limit", "out-of-memory"]);
const pauseMs = 50;

/**
 * The connections of a listening socket, without an end of their own: one that has gone wrong before it was accepted is passed over, as
 * the `listen` of wasi:sockets/types lets a host do.
 */
export function connectionsOf(listener: TcpSocket): ChunkSource<TcpSocket> {
  const wait = new DescriptorWait();
  listener.hold();
  return {
    async next() {
      while (!wait.stopped) {
        const accepted = listener.accept();
        if (accepted.tag === "ok") return accepted.val;
        if (accepted.val === "would-block") await wait.until(listener.fd, "readable");
        else if (passing.has(accepted.val)) await new Promise((resolve) => setTimeout(resolve, pauseMs));
        else if (accepted.val !== "connection-aborted") return undefined;
      }
      return undefined;
    },
    close() {
      wait.stop();
      listener.release();
    },
  };
}
