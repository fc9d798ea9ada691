import { native } from "../../src/native.ts";
import { closedByOwner, closeWhenForgotten } from "../forgotten.ts";
import { usage } from "../limits/usage.ts";
import { err, ok, type Result } from "../wasi/p2/result.ts";
import { type AddressFamily, type Endpoint, isMapped } from "./address.ts";
import { errorCodeFrom, type NetworkErrorCode } from "./error-code.ts";
import { kernelOptions, rememberedOptions } from "./option-store.ts";
import { emptySockaddr, endpointFrom } from "./sockaddr.ts";
import { SocketOptions } from "./socket-options.ts";

/** Of socketOpen. */
export const socketTypes = { stream: 1, datagram: 2 } as const;

/** The descriptor of a socket that the kernel knows nothing of: the guest may set its options, and that is all. */
export const noDescriptor = -1;

/**
 * A descriptor of a socket that several holders share: the socket itself, its streams, whoever waits for it. The first holder is
 * its maker; the last to release it closes it.
 */
export class OpenSocket {
  readonly fd: number;
  readonly family: AddressFamily;
  readonly options: SocketOptions;
  #holders = 1;

  constructor(fd: number, family: AddressFamily) {
    this.fd = fd;
    this.family = family;
    if (fd !== noDescriptor) closeWhenForgotten(this, () => closeSocket(fd));
    this.options = new SocketOptions(fd === noDescriptor ? rememberedOptions() : kernelOptions(fd), family);
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders > 0 || this.fd === noDescriptor) return;
    closedByOwner(this);
    closeSocket(this.fd);
  }
}

/** A new descriptor, or minus an errno. Those that the host needs to look a name up are counted with the guest's own. */
export function openSocket(family: AddressFamily, type: keyof typeof socketTypes): number {
  return counted(() => native.socketOpen(family === "ipv4" ? 4 : 6, socketTypes[type]));
}

/** A connection of a listener, or minus an errno. */
export function acceptSocket(listener: number): number {
  return counted(() => native.socketAccept(listener, emptySockaddr()));
}

export function closeSocket(fd: number): void {
  usage.closed();
  native.close(fd);
}

function counted(open: () => number): number {
  usage.open();
  const fd = open();
  if (fd < 0) usage.closed();
  return fd;
}

/** Both forms of IPv6 sockets that talk IPv4 are none of wasi:sockets: an IPv4 address, and one that is mapped. */
export function hasFamily({ address }: Endpoint, family: AddressFamily): boolean {
  return address.length === (family === "ipv4" ? 4 : 16) && !isMapped(address);
}

/** Where a descriptor is bound. */
export function localEndpoint(fd: number): Result<Endpoint, NetworkErrorCode> {
  const name = emptySockaddr();
  const result = native.socketAddress(fd, name);
  return result < 0 ? err(errorCodeFrom(result)) : ok(endpointFrom(name));
}
