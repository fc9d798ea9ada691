import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type HookContainer, hookState } from "./hooks.ts";

/**
 * Hands the descriptor of a filter with SCMP_ACT_NOTIFY to the agent at `linux.seccomp.listenerPath`, together with the
 * container process state (runtime-spec, config-linux.md "The Container Process State").
 *
 * @param pid of the process under the filter
 * @param init the container's, when that is another process, which runs then
 * @throws TandemError when no path is given or nobody listens there
 */
export function sendListener(fd: number, container: HookContainer, pid: number, init?: number): void {
  const { listenerPath = "", listenerMetadata } = container.spec.linux?.seccomp ?? {};
  if (listenerPath === "") {
    throw new TandemError("invalid_argument", "linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs it");
  }
  const state = {
    ociVersion: container.spec.ociVersion,
    fds: ["seccompFd"],
    pid,
    ...(listenerMetadata === undefined ? {} : { metadata: listenerMetadata }),
    state: JSON.parse(
      hookState(container, init === undefined ? "creating" : "running", init ?? pid),
    ) as unknown,
  };
  try {
    native.sendListener(listenerPath, Buffer.from(JSON.stringify(state)), fd);
  } catch (error) {
    throw TandemError.from(error, "linux.seccomp.listenerPath");
  }
}
