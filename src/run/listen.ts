import { getSystemErrorMessage, getSystemErrorName } from "node:util";
import { type Endpoint, familyOf, formatAddress, parseAddress } from "../../wasm-host/network/address.ts";
import { openSocket } from "../../wasm-host/network/open-socket.ts";
import { emptySockaddr, endpointFrom, sockaddrFrom } from "../../wasm-host/network/sockaddr.ts";
import { shown, TandemError } from "../errors.ts";
import { native } from "../native.ts";

const BACKLOG = 1024;

export interface ListeningSocket {
  /** The caller's. */
  readonly fd: number;
  /** `HOST:PORT` as in a URL, with the port that it has got. */
  readonly address: string;
}

/**
 * Listens for TCP connections.
 *
 * @param text `ADDRESS:PORT`, IPv6 in brackets; port 0: the kernel picks one
 * @param what names the option in errors
 * @throws TandemError invalid_argument for what is no such text; as bind(2) and listen(2) fail
 */
export function listenTcp(text: string, what: string): ListeningSocket {
  const endpoint = parseEndpoint(text, what);
  const fd = checked(openSocket(familyOf(endpoint.address), "stream"), what, text);
  try {
    checked(native.socketBind(fd, sockaddrFrom(endpoint)), what, text);
    checked(native.socketListen(fd, BACKLOG), what, text);
    const own = emptySockaddr();
    checked(native.socketAddress(fd, own), what, text);
    return { fd, address: toText(endpointFrom(own)) };
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/** @throws TandemError invalid_argument */
export function parseEndpoint(text: string, what: string): Endpoint {
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? "");
  const port = Number(digits);
  if (address === undefined || (six === undefined) !== (address.length === 4) || port > 65_535)
    throw new TandemError("invalid_argument", `${what} ${shown(text)}: is no ADDRESS:PORT`);
  return { address, port };
}

function toText({ address, port }: Endpoint): string {
  const host = formatAddress(address);
  return `${address.length === 4 ? host : `[${host}]`}:${port}`;
}

/** These calls return minus an errno. */
function checked(result: number, what: string, text: string): number {
  if (result >= 0) return result;
  const error = new Error(`${what} ${text}: ${getSystemErrorMessage(result)}`);
  throw TandemError.from(Object.assign(error, { code: getSystemErrorName(result) }));
}
