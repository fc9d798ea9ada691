/**
 * Every property of config.json with values that the schema of the OCI runtime spec does not have, or nobody would expect: each is
 * either planned, or refused by an error that names it. All of it without a container: see test/integration/bad-spec.test.ts.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadSpec, parseProcess } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { planExec } from "../../src/isolation/plan-exec.ts";
import { fullSpec, refusedValues } from "../docs/full-spec.ts";
import { linuxPictureOf } from "../docs/pictures.ts";
import { withValue } from "../docs/properties.ts";
import { type Mutation, mutate, mutationsOf, type Place, placesOf } from "./mutations.ts";
import { isReadable, namesPlace } from "./naming.ts";
import { offence } from "./rules.ts";

const config = suite("bad config.json");
const spec = fullSpec();
const places = placesOf(spec);

/** What the schema does not allow and Tandem takes all the same. */
const tolerated: Readonly<Record<string, string>> = {
  "linux.devices[].fileMode": "set-user-id, set-group-id and sticky are bits of mknod(2) as well",
  "linux.intelRdt.memBwSchema": "empty is what Go makes of nothing",
  "linux.resources.pids.limit": "an engine that has no limit to set writes an empty object",
  "linux.rootfsPropagation": "empty is what Go makes of nothing; the kernel has the recursive kinds too",
};

/** The error that something is refused with, or undefined. Anything else that is thrown is a bug. */
function refusal(work: () => unknown): TandemError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof TandemError && error.code !== "internal") return error;
    throw error;
  }
}

function check(changes: readonly { readonly place: Place; readonly mutation: Mutation }[]): void {
  const text = mutate(spec, changes);
  const what = changes.map(({ place, mutation }) => `${place.name} := ${mutation.name}`).join(", ");
  const error = refusal(() => linuxPictureOf(text));
  if (error === undefined) {
    const wrong = offence(JSON.parse(text), "");
    assert.ok(wrong === undefined || wrong in tolerated, `${what}: taken, though ${wrong} is wrong`);
    return;
  }
  assert.ok(isReadable(error.message), `${what}: ${JSON.stringify(error.message)}`);
  assert.ok(
    changes.some(({ place }) => namesPlace(error.message, place)),
    `${what}: refused by another name: ${error.message}`,
  );
}

config("the spec that all this starts from is taken", () => {
  assert.is(offence(spec, ""), undefined);
  linuxPictureOf(JSON.stringify(spec));
});

config("the schema minds no name that it does not know, not even an empty one", () => {
  const odd = (value: unknown) => offence(withValue(spec, "linux.resources.rdma", { mlx5: value }), "");
  assert.is(odd({ "": "" }), undefined);
  assert.is(odd({ hcaHandles: "" }), "linux.resources.rdma{}.hcaHandles");
});

config("each property, changed in every way, is planned or refused by its name", () => {
  for (const place of places) for (const mutation of mutationsOf(place)) check([{ place, mutation }]);
});

const change = fc
  .constantFrom(...places)
  .chain((place) =>
    fc.record({ place: fc.constant(place), mutation: fc.constantFrom(...mutationsOf(place)) }),
  );

config("several properties changed at once are planned or refused by one of their names", () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 2, maxLength: 4 }), (changes) => check(changes)),
    { numRuns: 500 },
  );
});

const anyString = fc.oneof(fc.string({ unit: "binary" }), fc.string());
const anyValue = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  anyString.map((text) => JSON.stringify(text)),
  fc.double().map(String),
  fc.bigInt().map(String),
);

config("a property with anything in it is planned or refused by its name", () => {
  fc.assert(
    fc.property(fc.constantFrom(...places), anyValue, (place, text) => {
      if (!/^-?(Infinity|NaN)/.test(text)) check([{ place, mutation: { name: text, text } }]);
    }),
    { numRuns: 500 },
  );
});

config("a text that is anything is refused as a whole", () => {
  const texts = [
    "",
    " ",
    "\0",
    "[]",
    "null",
    "0",
    '"x"',
    "{",
    "{}",
    "\ufeff{}",
    "NaN",
    "/* */{}",
    "{'a':1}",
    "[".repeat(1e6),
  ];
  for (const text of [...texts, "x".repeat(1e7), `{"a":"${"x".repeat(1e7)}"}`, `${" ".repeat(1e7)}{`]) {
    const error = refusal(() => linuxPictureOf(text));
    assert.match(error?.message ?? "taken", /^(config\.json|ociVersion): /);
    assert.ok(isReadable(error?.message ?? ""));
  }
  fc.assert(
    fc.property(fc.oneof(fc.json(), anyString), (text) => {
      assert.match(refusal(() => linuxPictureOf(text))?.message ?? "taken", /^(config\.json|ociVersion): /);
    }),
    { numRuns: 500 },
  );
});

config("a config.json of ten megabytes is taken when it is right", () => {
  const annotations = { ...(spec["annotations"] as object), large: "x".repeat(1e7) };
  linuxPictureOf(JSON.stringify({ ...spec, annotations }));
});

config("a file that is not there, a directory and bytes that are no UTF-8 are refused", () => {
  const bundle = mkdtempSync(join(tmpdir(), "tandem-bad-config-"));
  try {
    assert.match(refusal(() => loadSpec(join(bundle, "none")))?.message ?? "", /^config\.json: ENOENT/);
    assert.match(refusal(() => loadSpec(bundle))?.message ?? "", /^config\.json: ENOENT/);
    const text = Buffer.from(JSON.stringify({ ...spec, hostname: "h~st" }));
    text[text.indexOf("~")] = 0xff;
    writeFileSync(join(bundle, "config.json"), text);
    assert.is(refusal(() => loadSpec(bundle))?.message, "config.json: is not UTF-8");
  } finally {
    rmSync(bundle, { recursive: true });
  }
});

config("what Tandem refuses whatever its value is refused by name with any value", () => {
  for (const [path, value] of Object.entries(refusedValues)) {
    const text = JSON.stringify(withValue(spec, path, value));
    const holder = path.replace(/(\[\]|\{\}.*)$/, "").replace(/\.\w+$/, "");
    assert.ok(refusal(() => linuxPictureOf(text))?.message.includes(holder), path);
  }
});

config("the process of an exec, changed in every way, is planned or refused by its name", () => {
  const context = {
    id: "c1",
    machine: { apparmor: true, selinux: true, capabilities: (1n << 41n) - 1n },
    seccomp: undefined,
    canSetGroups: true,
    userNamespace: false,
    noNewKeyring: false,
    linux: undefined,
  };
  for (const place of places.filter(({ rule }) => rule.path.startsWith("process."))) {
    for (const mutation of mutationsOf(place)) {
      const { process } = JSON.parse(mutate(spec, [{ place, mutation }])) as { process: unknown };
      const error = refusal(() => planExec(parseProcess(process), context));
      if (error === undefined) continue;
      assert.ok(namesPlace(error.message, place), `${place.name} := ${mutation.name}: ${error.message}`);
    }
  }
});

config.run();
