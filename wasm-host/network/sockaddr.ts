import { endianness } from "node:os";
import type { Endpoint } from "./address.ts";

/** linux/socket.h */
const AF_INET = 2;
const AF_INET6 = 10;
const hostIsLittle = endianness() === "LE";

/** What native/addon/socket.cc takes and fills: room for a struct sockaddr_in or sockaddr_in6. */
export function emptySockaddr(): Uint8Array {
  return new Uint8Array(28);
}

export function sockaddrFrom({ address, port, flowInfo = 0, scopeId = 0 }: Endpoint): Uint8Array {
  const bytes = emptySockaddr();
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address.length === 4 ? AF_INET : AF_INET6, hostIsLittle);
  view.setUint16(2, port);
  bytes.set(address, address.length === 4 ? 4 : 8);
  if (address.length === 4) return bytes;
  view.setUint32(4, flowInfo);
  view.setUint32(24, scopeId, hostIsLittle);
  return bytes;
}

export function endpointFrom(bytes: Uint8Array): Endpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const port = view.getUint16(2);
  if (view.getUint16(0, hostIsLittle) === AF_INET) return { address: bytes.slice(4, 8), port };
  return {
    address: bytes.slice(8, 24),
    port,
    flowInfo: view.getUint32(4),
    scopeId: view.getUint32(24, hostIsLittle),
  };
}
