/** docs/http.md says what the settings say. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { httpSettings } from "../../src/grant/http-settings.ts";
import { defaultHttpLimits } from "../../wasm-host/http/limits.ts";
import { codesOf, read, tableBelow } from "./markdown.ts";

const http = suite("docs/http.md");

http("has each setting with what there is without it, in their order", () => {
  const rows = tableBelow(read("docs/http.md"), "## Settings").map(([name = "", value = ""]) => [
    codesOf(name)[0],
    value,
  ]);
  assert.equal(
    rows,
    Object.entries(httpSettings).map(([name, { initial }]) => [name, initial]),
  );
});

http("has a setting for each limit", () => {
  assert.equal(
    Object.values(httpSettings).map(({ limit }) => limit),
    Object.keys(defaultHttpLimits),
  );
});

http.run();
