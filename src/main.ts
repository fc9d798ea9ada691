/**
 * The program that the launcher starts (native/launcher): the zygote, or in cold mode one shim without a zygote.
 *
 *     main.mjs zygote DIR      warm up, then fork on request at DIR/zygote.sock
 *     main.mjs zygote-unrehearsed DIR   the same in the place of one that was ended before it was ready
 *     main.mjs zygote-for-oci DIR   the same in a passing mount namespace: without what only pods need, so that the first
 *                              command line waits for less, and gone soon after the last
 *     main.mjs shim            cold mode, for debugging: the launcher's request on descriptor 4, the pod's socket on 3
 */
import { closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { becomeWasmProcess } from "../wasm-host/main.ts";
import { becomeCodeCompiler } from "./code/code-compiler.ts";
import { setEngineForLongRuns } from "./engine.ts";
import { native } from "./native.ts";
import type { OciHost } from "./oci/server.ts";
import { isAdministrator, ownRights } from "./rights.ts";
import { becomeShim } from "./shim/shim.ts";
import { becomeNursery } from "./zygote/become-nursery.ts";
import { Nursery } from "./zygote/nursery.ts";
import { decodeFields, toShimParameters } from "./zygote/request.ts";
import {
  createCodeHost,
  createShimHost,
  createWasmHost,
  warmUp,
  warmUpForOci,
  warmUpUnrehearsed,
} from "./zygote/warm-up.ts";
import { type Role, runZygote } from "./zygote/zygote.ts";

// It was for this process only: whatever is started from here must not be preloaded with it.
delete process.env["LD_PRELOAD"];

const [mode, argument] = process.argv.slice(2);
switch (mode) {
  case "zygote":
  case "zygote-unrehearsed":
    // Who is not root, or root without CAP_SYS_ADMIN, has the command line, which is all that a zygote of theirs is asked for.
    await zygote(argument ?? "/run/tandem/z", {
      forPods: ownRights().machineRoot && isAdministrator(ownStatus()),
      rehearsed: mode === "zygote",
      inPassingNamespace: false,
    });
    break;
  case "zygote-for-oci":
    await zygote(argument ?? "/run/tandem/z", {
      forPods: false,
      rehearsed: false,
      inPassingNamespace: true,
    });
    break;
  case "shim":
    becomeShim(createShimHost(""), toShimParameters(decodeFields(readFileSync(4))), 3);
    break;
  default:
    process.stderr.write("usage: main.mjs zygote DIR | zygote-unrehearsed DIR | zygote-for-oci DIR | shim\n");
    native.exitNow(2);
}

function ownStatus(): string {
  return readFileSync("/proc/self/status", "latin1");
}

/** gRPC and HTTP/2 are of no use to any other child: only a resolver loads them. */
function becomeResolver(fields: readonly Buffer[], fds: readonly number[]): void {
  setEngineForLongRuns();
  import("./containerd/resolver-process.ts").then(
    (module) => module.becomeResolver(fields, fds),
    (error: unknown) => {
      process.stderr.write(`resolver: ${String(error)}\n`);
      native.exitNow(1);
    },
  );
}

/**
 * Only this child has a use for the command line's code. It is a bundle of its own (scripts/build.ts): functions that the zygote
 * made already would never be optimised, since V8 decides on that when it makes them.
 */
function becomeOci(host: OciHost, fds: readonly number[]): void {
  const path = import.meta.url.endsWith(".ts") ? "./oci/server.ts" : "./oci.mjs";
  setEngineForLongRuns();
  const loaded = import(path) as Promise<typeof import("./oci/server.ts")>;
  loaded.then(
    (module) => module.becomeOciServer(host, fds[0] ?? -1),
    (error: unknown) => {
      process.stderr.write(`oci server: ${String(error)}\n`);
      native.exitNow(1);
    },
  );
}

async function zygote(
  directory: string,
  options: { readonly forPods: boolean; readonly rehearsed: boolean; readonly inPassingNamespace: boolean },
): Promise<void> {
  const { forPods, rehearsed, inPassingNamespace } = options;
  const shimHost = createShimHost(join(directory, "zygote.sock"));
  const { log } = shimHost.log;
  // In a zygote of a command line's only those children make it that use it: the first command waits for less.
  const code = forPods ? createCodeHost(log) : undefined;
  const wasmHost = forPods ? createWasmHost(directory, code) : undefined;
  const roles: Record<string, Role> = {
    shim: (fields, fds) => becomeShim(shimHost, toShimParameters(fields), fds[0] ?? -1),
    code: (fields, fds) => {
      const host = code ?? createCodeHost(log);
      if (host === undefined) native.exitNow(1);
      void becomeCodeCompiler(host, fields, fds);
    },
    resolver: becomeResolver,
    oci: (_, fds) => becomeOci({ ...shimHost, directory, inPassingNamespace }, fds),
  };
  if (wasmHost === undefined) {
    const nursery = new Nursery((socket) => {
      closeSync(shimHost.containerInit);
      becomeNursery(socket, { directory, hasRights: isAdministrator(ownStatus()), log });
    });
    return await runZygote({ directory, roles, inPassingNamespace, nursery, warm: warmUpForOci });
  }
  roles["wasm"] = (fields, fds) => {
    // A guest's process has no use for a program to execute.
    closeSync(shimHost.containerInit);
    becomeWasmProcess(wasmHost, fields, fds);
  };
  const warm = { shim: shimHost, wasm: wasmHost, engine: code?.engine };
  const warmer = rehearsed ? () => warmUp(warm, directory) : () => warmUpUnrehearsed(directory);
  await runZygote({ directory, roles, inPassingNamespace, warm: warmer });
}
