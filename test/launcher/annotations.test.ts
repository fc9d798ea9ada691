import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";

interface Scan {
  readonly valid: boolean;
  readonly group: string;
  readonly sandboxId: string;
}

const here = dirname(fileURLToPath(import.meta.url));
const directory = mkdtempSync("/tmp/tl-");
const scanner = join(directory, "scan");
const groupKey = "io.containerd.runc.v2.group";
const sandboxKey = "io.kubernetes.cri.sandbox-id";

const annotations = suite("launcher annotations");

annotations.before(() => {
  const sources = [join(here, "scan-annotations.c"), join(here, "../../native/launcher/annotations.c")];
  const flags = [
    "-std=gnu17",
    "-D_GNU_SOURCE",
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
  ];
  const built = spawnSync(
    "gcc",
    [...flags, "-I", join(here, "../../native/launcher"), ...sources, "-o", scanner],
    { encoding: "utf8" },
  );
  assert.is(built.status, 0, built.stderr);
});
annotations.after(() => rmSync(directory, { recursive: true }));

function scanAll(documents: readonly Uint8Array[]): Scan[] {
  const parts = documents.flatMap((document) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(document.length);
    return [length, document];
  });
  const result = spawnSync(scanner, {
    input: Buffer.concat(parts),
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 60_000,
  });
  assert.is(result.status, 0, result.stderr);
  return result.stdout
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [verdict, group = "", sandboxId = ""] = line.split(" ");
      const text = (hex: string): string => Buffer.from(hex, "hex").toString();
      return { valid: verdict === "ok", group: text(group), sandboxId: text(sandboxId) };
    });
}

function scan(document: string): Scan {
  const [result] = scanAll([Buffer.from(document)]);
  assert.ok(result);
  return result;
}

/** What the scanner must find, by JavaScript's own parser: an object's annotations that are strings, not empty, not too long. */
function expected(document: string): Scan {
  const nothing = { valid: false, group: "", sandboxId: "" };
  let value: unknown;
  try {
    value = JSON.parse(document);
  } catch {
    return nothing;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return nothing;
  const found = (value as Record<string, unknown>)["annotations"];
  const get = (key: string): string => {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return "";
    const text = (found as Record<string, unknown>)[key];
    return typeof text === "string" && Buffer.byteLength(text) < 1024 && !text.includes("\0")
      ? text.replace(/\p{Surrogate}/gu, "\ufffd")
      : "";
  };
  return { valid: true, group: get(groupKey), sandboxId: get(sandboxKey) };
}

annotations("are found wherever they stand in a config.json", () => {
  const config = {
    ociVersion: "1.1.0",
    process: { args: ["a", '"annotations":{'], env: [] },
    annotations: { a: "b", [sandboxKey]: "pod", [groupKey]: "g" },
    linux: { resources: { devices: [{ allow: false }] } },
  };
  for (const text of [
    JSON.stringify(config),
    JSON.stringify(config, null, 2),
    ` \t\r\n${JSON.stringify(config)}\n`,
  ]) {
    assert.equal(scan(text), { valid: true, group: "g", sandboxId: "pod" });
  }
});

annotations("are not taken from anywhere but the top level", () => {
  const inner = { annotations: { [sandboxKey]: "evil" } };
  assert.is(scan(JSON.stringify({ process: inner, list: [inner] })).sandboxId, "");
  assert.is(scan(JSON.stringify({ annotations: { x: inner.annotations } })).sandboxId, "");
  assert.is(scan(JSON.stringify({ annotations: [inner.annotations] })).sandboxId, "");
});

annotations("are decoded: escapes, surrogate pairs, keys in escapes", () => {
  assert.is(
    scan(
      String.raw`{"annotations":{"io.kubernetes.cri.sandbox-id":"a\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00\ud83dx"}}`,
    ).sandboxId,
    'a"\\/\b\f\n\r\té€😀\ufffdx',
  );
  assert.is(scan(String.raw`{"\u0061nnotations":{"io.kubernetes.cri.sandbox\u002did":"x"}}`).sandboxId, "x");
});

annotations("that are too long, hold a NUL or are no string count as absent", () => {
  for (const value of ["x".repeat(1024), "a\0b", "", 7, null, {}, ["x"]]) {
    assert.equal(scan(JSON.stringify({ annotations: { [sandboxKey]: value } })), {
      valid: true,
      group: "",
      sandboxId: "",
    });
  }
  assert.is(
    scan(JSON.stringify({ annotations: { [sandboxKey]: "x".repeat(1023) } })).sandboxId,
    "x".repeat(1023),
  );
});

annotations("of a document that is not JSON are none at all", () => {
  const start = `{"annotations":{"${sandboxKey}":"pod"}`;
  for (const text of [
    "",
    start,
    `${start},}`,
    `${start}}x`,
    `${start},"a":01}`,
    `${start},"a":1.}`,
    `${start},"a":"\t"}`,
    `${start},"a":tru}`,
    `[${start}}]`,
    `${start},"a":"\\x"}`,
  ]) {
    assert.equal(scan(text), { valid: false, group: "", sandboxId: "" }, text);
  }
});

annotations("survive nesting of any depth", () => {
  for (const depth of [10, 250, 300, 100_000]) {
    const result = scan(`{"a":${"[".repeat(depth)}${"]".repeat(depth)},"annotations":{"${groupKey}":"g"}}`);
    assert.is(result.valid, depth < 256);
  }
  assert.is(scan("[".repeat(1 << 20)).valid, false);
  assert.is(scan(`{"a":`.repeat(1 << 18)).valid, false);
});

annotations("agree with JSON.parse on thousands of documents and their mutations", () => {
  const key = fc.constantFrom(sandboxKey, groupKey, "annotations", "a", "");
  const values = fc.dictionary(key, fc.oneof(fc.string({ unit: "binary" }), fc.jsonValue()));
  const config = fc.record(
    { process: fc.jsonValue(), annotations: fc.oneof(values, fc.jsonValue()), linux: fc.jsonValue() },
    { requiredKeys: [] },
  );
  const documents = fc.sample(config, { numRuns: 1500, seed: 20 }).map((value) => JSON.stringify(value));
  const edits = fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...'{}[]",:\\u0123eE+-.tfn \n\x01'));
  const mutated = documents.flatMap((document, index) =>
    fc.sample(edits, { numRuns: 3, seed: index }).map(([position, kind, character]) => {
      const at = document.length === 0 ? 0 : position % document.length;
      const rest = kind === 0 ? at : at + kind - 1;
      return (
        document.slice(0, at) +
        (kind === 0 ? "" : character) +
        document.slice(Math.min(rest + 1, document.length))
      );
    }),
  );
  // Two members of one name are merged or replaced as a parser likes; containerd never writes them.
  const all = [...documents, ...mutated].filter(
    (text) => text.split('"annotations"').length <= 2 && text.isWellFormed(),
  );
  const results = scanAll(all.map((text) => Buffer.from(text)));
  assert.is(results.length, all.length);
  for (const [index, text] of all.entries()) assert.equal(results[index], expected(text), text);
});

annotations("of bytes at random crash nothing", () => {
  const bytes = fc.sample(fc.uint8Array({ maxLength: 400 }), { numRuns: 5000, seed: 7 });
  const valid = Buffer.from(
    JSON.stringify({ annotations: { [sandboxKey]: "pod\u{1f600}" }, a: [1.5e-3, true, null] }),
  );
  const broken = fc
    .sample(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { numRuns: 5000, seed: 8 })
    .map(([at, byte]) => {
      const copy = Buffer.from(valid);
      copy[at] = byte;
      return copy;
    });
  const cut = Array.from({ length: valid.length }, (_, length) => valid.subarray(0, length));
  const results = scanAll([...bytes, ...broken, ...cut]);
  assert.is(results.length, 10_000 + valid.length);
  for (const result of results.slice(-valid.length)) assert.is(result.valid, false);
});

annotations.run();
