import type { Leases } from "../api/gen/containerd/services/leases/v1/leases_pb.ts";
import { TandemError } from "../errors.ts";
import type { ServiceClient } from "./client.ts";

export interface LeaseOptions {
  readonly namespace: string;
  /** containerd drops the lease by itself after this time: what a killed process leaves is collected then. */
  readonly ttlMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs `use` with a lease: what it creates in containerd with that lease's id is safe from the garbage collector until `use` is
 * done, by when it must be referenced by something else.
 */
export async function withLease<T>(
  leases: ServiceClient<typeof Leases>,
  options: LeaseOptions,
  use: (lease: string) => Promise<T>,
): Promise<T> {
  const { namespace, signal } = options;
  const expire = new Date(Date.now() + options.ttlMs).toISOString();
  const call = { namespace, ...(signal === undefined ? {} : { signal }) };
  const { lease } = await leases.create({ labels: { "containerd.io/gc.expire": expire } }, call);
  if (lease === undefined)
    throw new TandemError("internal", "containerd Leases.Create: a response without a lease");
  try {
    return await use(lease.id);
  } finally {
    // Not with the caller's signal: an aborted use still has a lease to give back.
    await leases.delete({ id: lease.id }, { namespace }).catch(tolerateMissing);
  }
}

/** Keeps a blob from being collected while somebody reads it, though its image may be deleted meanwhile. */
export function keepingBlob<T>(
  leases: ServiceClient<typeof Leases>,
  options: LeaseOptions & { readonly digest: string },
  use: () => Promise<T>,
): Promise<T> {
  const { namespace, digest } = options;
  return withLease(leases, options, async (id) => {
    await leases.addResource({ id, resource: { id: digest, type: "content" } }, { namespace });
    return await use();
  });
}

function tolerateMissing(error: unknown): undefined {
  if (TandemError.from(error).code === "not_found") return undefined;
  throw error;
}
