import { canonical, type IpAddress, parseAddress } from "./address.ts";

/** The addresses that begin with the first `prefix` bits of `base`. */
export interface AddressBlock {
  readonly base: IpAddress;
  readonly prefix: number;
}

/** One address, or a block in CIDR's notation; undefined for what is neither, also when bits are set behind the prefix. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [, host = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const written = parseAddress(host);
  if (written === undefined) return undefined;
  const bits = 8 * written.length;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits || hasBitsBehind(written, prefix)) return undefined;
  const base = canonical(written);
  // A block of IPv4-mapped addresses is one of IPv4 addresses; a wider one holds more than those.
  if (base.length === written.length || prefix < 96) return { base: written, prefix };
  return { base, prefix: prefix - 96 };
}

/** @param address canonical */
export function contains({ base, prefix }: AddressBlock, address: IpAddress): boolean {
  if (base.length !== address.length) return false;
  const whole = prefix >> 3;
  for (let at = 0; at < whole; at++) if (base[at] !== address[at]) return false;
  const rest = prefix & 7;
  return rest === 0 || ((base[whole] ?? 0) ^ (address[whole] ?? 0)) >> (8 - rest) === 0;
}

function hasBitsBehind(address: IpAddress, prefix: number): boolean {
  return address.some((byte, at) => {
    const kept = Math.min(8, Math.max(0, prefix - 8 * at));
    return (byte & (255 >> kept)) !== 0;
  });
}
