import type { GrantPlan } from "../config.ts";

/** A grant on one line, without the values of its environment: these may be secrets. */
export function grantLine({ env, preopens, network, ...rest }: GrantPlan): string {
  const shown = {
    ...rest,
    env: env.map(([name]) => name),
    preopens: preopens.map(({ guestPath, readonly, mounts }) => ({
      guestPath,
      readonly,
      mounts: mounts.map(({ target, readonly: ro }) => (ro ? `${target} (read-only)` : target)),
    })),
    ...(network === undefined ? {} : { network: withoutFiles(network) }),
  };
  return `tandem: granted: ${JSON.stringify(shown)}\n`;
}

/** The files of the resolver are long, and the machine's. */
function withoutFiles(network: NonNullable<GrantPlan["network"]>): Record<string, unknown> {
  const { outbound, inbound, protocols } = network;
  return { outbound, inbound, ...(protocols === undefined ? {} : { protocols }) };
}
