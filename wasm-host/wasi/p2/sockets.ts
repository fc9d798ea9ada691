import { err, type Result } from "./result.ts";

/**
 * wasi:sockets 0.2. Without a grant every way to the network says `access-denied`; with one `not-supported`, because
 * sockets for components are not there yet (docs/limits.md): http is what a component reaches the network by.
 */
export function createSockets(grant: { readonly allowed: boolean }): Record<string, unknown> {
  const refusal = err(grant.allowed ? "not-supported" : "access-denied");
  const refuse = (): Result<never, string> => refusal;
  return {
    "wasi:sockets/network": { Network, networkErrorCode: () => undefined },
    "wasi:sockets/instance-network": { instanceNetwork: () => new Network() },
    "wasi:sockets/ip-name-lookup": { ResolveAddressStream, resolveAddresses: refuse },
    "wasi:sockets/tcp": { TcpSocket },
    "wasi:sockets/tcp-create-socket": { createTcpSocket: refuse },
    "wasi:sockets/udp": { UdpSocket, IncomingDatagramStream, OutgoingDatagramStream },
    "wasi:sockets/udp-create-socket": { createUdpSocket: refuse },
  };
}

/** The resource `network`: an authority, not an object with methods. */
class Network {}

// The glue wants the classes of the resources, and no instance of them is ever handed out.
class ResolveAddressStream {}
class TcpSocket {}
class UdpSocket {}
class IncomingDatagramStream {}
class OutgoingDatagramStream {}
