/** A socket where D-Bus is spoken. `direct`: by the manager itself, without a message bus between. */
export interface BusAddress {
  readonly path: string;
  readonly direct: boolean;
}

/** The Unix sockets of a list of addresses, dbus-specification "Server Addresses"; other transports are passed over. */
export function busAddresses(list: string): readonly BusAddress[] {
  return list.split(";").flatMap((address) => {
    const [transport, options = ""] = address.split(":", 2);
    const found = options.split(",").find((option) => /^(path|abstract)=/.test(option));
    if (transport !== "unix" || found === undefined) return [];
    const [key, value = ""] = found.split("=", 2);
    return [{ path: (key === "abstract" ? "\0" : "") + decodeURIComponent(value), direct: false }];
  });
}
