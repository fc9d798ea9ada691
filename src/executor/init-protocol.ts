/**
 * The dialogue between the shim and container-init over a SEQPACKET socket. A message is one byte, `failed` has u32 errno and
 * text behind it. Twin of native/init/steps.h.
 *
 *   shim                                     container-init
 *   ----                                     --------------
 *   maps                              ◀──    mappable       (only for a maker who is not root)
 *   plan, [memfd, mount sources…]     ──▶    performs step after step
 *   prestart, createRuntime hooks     ◀──    runtimeHooks   (only when there are any)
 *   proceed                           ──▶
 *   created                           ◀──    created, [terminal's master]
 *   start                             ──▶    startContainer hooks, execve
 *   seccomp agent                     ◀──    listener, [its descriptor]   (only with SCMP_ACT_NOTIFY; may precede created)
 *   proceed                           ──▶
 *   running                           ◀──    end of file: execve closed the socket
 *   failure                           ◀──    failed, at any point; the process ends after it
 */
export const toInit = { plan: 1, proceed: 2, start: 3 } as const;

export const toShim = { runtimeHooks: 1, created: 2, listener: 3, failed: 4, mappable: 5 } as const;

export type InitMessage =
  | { readonly kind: "mappable" }
  | { readonly kind: "runtimeHooks" }
  | { readonly kind: "created"; readonly console: number | undefined }
  | { readonly kind: "listener"; readonly fd: number }
  | { readonly kind: "failed"; readonly errno: number; readonly text: string }
  | { readonly kind: "end" };

/** The pure half: one message from its bytes and descriptors. An unknown one ends the dialogue. */
export function parseInitMessage(data: Buffer, fds: readonly number[]): InitMessage {
  const [fd] = fds;
  switch (data[0]) {
    case toShim.mappable:
      return { kind: "mappable" };
    case toShim.runtimeHooks:
      return { kind: "runtimeHooks" };
    case toShim.created:
      return { kind: "created", console: fd };
    case toShim.listener:
      return fd === undefined ? { kind: "end" } : { kind: "listener", fd };
    case toShim.failed:
      return { kind: "failed", errno: data.readUInt32LE(1), text: data.toString("utf8", 5) };
    default:
      return { kind: "end" };
  }
}
