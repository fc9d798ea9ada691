/** docs/grant.md says what grant.ts, wasm-config.ts and serve.ts say. */
import { parse } from "smol-toml";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec } from "../../src/bundle/spec.ts";
import { toWasmConfig } from "../../src/executor/wasm-config.ts";
import { mergeSettings, readOperatorSettings } from "../../src/grant/pod-settings.ts";
import { settings } from "../../src/grant/settings.ts";
import { kernelFilesystems } from "../../src/isolation/kernel-filesystems.ts";
import { codesOf, read, tableBelow } from "./markdown.ts";
import { wasmRequest, wasmSelection } from "./pictures.ts";

const grant = suite("docs/grant.md");
const document = read("docs/grant.md");

function configOf(changes: object = {}) {
  const json = {
    ociVersion: "1.3.0",
    root: { path: "rootfs" },
    process: { cwd: "/", args: ["/app.wasm"] },
    ...changes,
  };
  return toWasmConfig(wasmRequest(parseSpec(JSON.stringify(json))), wasmSelection, undefined);
}

grant("has a row for each part of a grant", () => {
  const body =
    /export interface Grant \{([^}]*(?:\{[^}]*\}[^}]*)*)\n\}/.exec(read("wasm-host/grant.ts"))?.[1] ?? "";
  const parts = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1]);
  const named = tableBelow(document, "# What a wasm container gets").flatMap(([cell = ""]) => codesOf(cell));
  assert.equal(named.sort(), parts.sort());
});

grant("has a row for each setting of pods, with what there is without it and the option for the same", () => {
  const rows = tableBelow(
    document,
    "What is no setting is an error in either place. Linux containers of the same pod do not look at them. Durations are `10`, `10s` or",
  );
  const known = Object.entries(settings).map(([name, { initial, option }]) => [name, initial, option]);
  assert.equal(
    rows.map(([name = "", initial, , option = ""]) => [
      codesOf(name)[0],
      initial,
      codesOf(option).join(", "),
    ]),
    known,
  );
});

grant("has examples that say what they mean", () => {
  const toml = /```toml\n([\s\S]*?)```/.exec(document)?.[1] ?? "";
  const { wasm = {} } = parse(toml) as { wasm?: Record<string, unknown> };
  const [, key = "", value = ""] = /annotations: \{ (\S+): "([^"]+)" \}/.exec(document) ?? [];
  const { values } = mergeSettings(readOperatorSettings(wasm, "the example"), { [key]: value });
  assert.equal(values.outbound, ["api.example.com:443", "10.1.0.0/16:5432"]);
  assert.is(values["max-memory-size"], 268_435_456);
});

grant("names the port and the annotation", () => {
  assert.equal(configOf().http, { port: 8080 });
  assert.equal(configOf({ annotations: { "tandem.dev/http-port": "81" } }).http, { port: 81 });
  assert.match(document, /port\n8080 or what the annotation `tandem.dev\/http-port` says/);
});

grant("names the file systems that are left out", () => {
  const [, list = ""] = /own file systems are left out: ([^;]+);/.exec(document) ?? [];
  const types = list.split(/,\s+/);
  assert.equal(types, [...kernelFilesystems.keys()]);
  const mounts = types.map((type) => ({ destination: "/x", type, source: type }));
  assert.equal(configOf({ mounts }).grant.preopens[0]?.mounts, []);
});

grant("tells what of /dev there is", () => {
  const bind = (destination: string) => ({ destination, type: "bind", source: "/srv", options: ["bind"] });
  const tmpfs = { destination: "/dev", type: "tmpfs", source: "tmpfs" };
  const [root] = configOf({ mounts: [tmpfs, bind("/dev/shm"), bind("/dev/termination-log")] }).grant.preopens;
  assert.equal(
    root?.mounts.map(({ target }) => target),
    ["/dev/termination-log"],
  );
});

grant.run();
