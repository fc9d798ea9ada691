/** A component of `tandem serve` that has broken out of V8: it has the socket that it is served at, and no other. */
import { spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildComponent } from "../../examples/http-function/build.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { refusedCalls } from "./refused-calls.ts";
import { guestOf, type Runner, tandem } from "./run-guest.ts";
import { Runners } from "./runners.ts";
import { descriptorsOf, Tracer } from "./system-calls-in.ts";

const security = suite("a hostile component of tandem serve");
let runners: Runners;
let tracer: Tracer;
let component: string;

security.before(async () => {
  runners = await Runners.create();
  tracer = new Tracer();
  component = join(runners.directory, "function.wasm");
  writeFileSync(component, await buildComponent());
  chmodSync(component, 0o644);
});
security.after(async () => {
  tracer.remove();
  await runners[Symbol.asyncDispose]();
});

/** Has the component served for as long as `use` takes. */
async function withServed(runner: Runner, use: (pid: number, url: string) => Promise<void>): Promise<void> {
  const [program, ...rest] = runner.command([tandem, "serve", "--addr", "127.0.0.1:0", component]);
  const child = spawn(program, rest, { cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  try {
    const [, url = ""] = await waitFor(
      () => /Serving HTTP on (\S+)/.exec(said),
      120_000,
      "the server's line",
    );
    await use(guestOf(child.pid ?? 0), url);
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

for (const [what, attack] of [
  [
    "gets nothing by asking the kernel",
    (pid: number, name: string): void => {
      const results = tracer.callsIn(pid, ...refusedCalls.map(([, call]) => call));
      for (const [index, [why, , expected]] of refusedCalls.entries())
        assert.ok(expected.includes(results[index] ?? ""), `${name}: ${why}: ${results[index]}`);
    },
  ],
  [
    "makes no socket, and connects and binds none",
    (pid: number, name: string): void => {
      const sockets = [...descriptorsOf(pid)].filter(
        ([fd, target]) => fd > 2 && target.startsWith("socket:"),
      );
      assert.is(sockets.length, 1, `${name}: only the one that it is served at`);
      const [listener = -1] = sockets[0] ?? [];
      const address = `%02000050a9fea9fe${"00".repeat(8)}`;
      assert.equal(
        tracer.callsIn(
          pid,
          ["socket", 2, 1, 0],
          ["socket", 10, 1, 0],
          ["socket", 2, 2, 0],
          ["connect", listener, address, 16],
          ["bind", listener, address, 16],
        ),
        new Array<string>(5).fill("EPERM"),
      );
    },
  ],
] as const)
  security(what, async () => {
    for (const runner of runners.all)
      await withServed(runner, async (pid, url) => {
        attack(pid, runner.name);
        const answer = await fetch(url, { headers: { connection: "close" } });
        assert.match(await answer.text(), "hello");
      });
  });

if (Tracer.isPossible) security.run();
