/** Who asks for optimised code, when, and for what. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import type { CodeReport } from "../../src/code/code-report.ts";
import type { RanFunctions } from "../../src/code/ran-functions.ts";
import type { TandemError } from "../../src/errors.ts";
import type { ExitStatus } from "../../src/executor/executor.ts";
import { CodeErrand } from "../../src/executor/wasm-code.ts";
import type { WasmProcess } from "../../src/executor/wasm-process.ts";
import type { Workload } from "../../wasm-host/config.ts";

interface Context {
  directory: string;
  zygote: ChildProcess;
}

const errands = suite<Context>("errands for code");

errands.before.each(async (context) => {
  context.directory = mkdtempSync(join(tmpdir(), "tandem-errand-"));
  writeFileSync(join(context.directory, "module.wasm"), "a module");
  const fixture = fileURLToPath(new URL("fixtures/recording-zygote.ts", import.meta.url));
  const paths = ["zygote.sock", "requests"].map((name) => join(context.directory, name));
  context.zygote = spawn(process.execPath, ["--no-warnings", fixture, ...paths], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (context.zygote.stdout !== null) await once(context.zygote.stdout, "data");
});
errands.after.each(async ({ directory, zygote }) => {
  zygote.kill("SIGKILL");
  await once(zygote, "exit");
  rmSync(directory, { recursive: true });
});

const ran: RanFunctions = { ["ab".repeat(32)]: "AQ==" };

/** A guest's process that ends when it is told to, and what it says meanwhile. */
function playProcess(code: CodeReport | undefined, atExit?: RanFunctions) {
  const { promise, resolve } = Promise.withResolvers<ExitStatus>();
  let said: RanFunctions | undefined;
  const process = {
    pid: 1,
    console: undefined,
    exited: promise,
    code,
    get ran() {
      return said;
    },
    start: async () => undefined,
    handOver: async () => undefined,
    kill: () => undefined,
  } satisfies WasmProcess;
  const end = (): void => {
    said = atExit;
    resolve({ status: 0, exitedAt: new Date() });
  };
  return { process, end };
}

function sendErrand(directory: string, process: WasmProcess, form: "module" | "component" = "module") {
  const warnings: string[] = [];
  const workload: Workload =
    form === "module"
      ? { form, file: [directory, "module.wasm"], export: undefined }
      : { form, transpiled: directory, export: undefined };
  const errand = new CodeErrand({
    zygote: { socket: join(directory, "zygote.sock"), launcher: "/bin/false" },
    workload,
    process,
    warn: (error: TandemError) => void warnings.push(error.message),
  });
  return { errand, warnings };
}

function requestsIn(directory: string): string[] {
  const path = join(directory, "requests");
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

errands("nothing is asked where nothing is wanted", async ({ directory }) => {
  for (const code of [undefined, { wanted: "no" } as const, { wanted: "afterwards" } as const]) {
    const { process, end } = playProcess(code);
    const { errand, warnings } = sendErrand(directory, process);
    errand.started();
    end();
    await process.exited;
    await errand.finished();
    assert.equal(warnings, []);
  }
  assert.equal(requestsIn(directory), []);
});

errands("what is wanted now is asked for soon after the start, once", async ({ directory }) => {
  const { process, end } = playProcess({ wanted: "now" });
  const { errand } = sendErrand(directory, process);
  errand.started();
  await waitFor(() => requestsIn(directory).length > 0, 5_000, "a request while the guest runs");
  end();
  await process.exited;
  await errand.finished();
  assert.equal(requestsIn(directory), ["code {} with 1 files"]);
});

errands("a guest that has ended before that is asked for at its end", async ({ directory }) => {
  const { process, end } = playProcess({ wanted: "now" });
  const { errand } = sendErrand(directory, process);
  errand.started();
  end();
  await process.exited;
  await errand.finished();
  assert.equal(requestsIn(directory), ["code {} with 1 files"]);
});

errands(
  "of a component with modules of both sizes, the small ones first and the large ones at its end",
  async ({ directory }) => {
    const { process, end } = playProcess({ wanted: "now" }, ran);
    const { errand } = sendErrand(directory, process, "component");
    errand.started();
    await waitFor(() => requestsIn(directory).length > 0, 5_000, "a request while the guest runs");
    end();
    await process.exited;
    await errand.finished();
    const component = { component: directory };
    assert.equal(requestsIn(directory), [
      `code ${JSON.stringify(component)} with 0 files`,
      `code ${JSON.stringify({ ran, ...component })} with 0 files`,
    ]);
  },
);

errands("what cannot be asked is a warning and nobody's failure", async ({ directory }) => {
  const damaged = "code of module 00: its sha256 is not what was written";
  const { process, end } = playProcess({ wanted: "now", damaged });
  const { errand, warnings } = sendErrand(directory, process);
  rmSync(join(directory, "module.wasm"));
  end();
  await process.exited;
  await errand.finished();
  assert.is(warnings.length, 2);
  assert.is(warnings[0], damaged);
  assert.match(warnings[1] ?? "", /code of a module: .*module\.wasm/);
});

errands.run();
