import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { classifyImage, wasmConfigMediaType } from "../../src/image/layers.ts";
import { isWat, wasmForm } from "../../src/image/wasm-form.ts";
import { rejects } from "../support/rejects.ts";

const layers = suite("layers");

const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const TAR = "application/vnd.oci.image.layer.v1.tar";
const linux = { os: "linux", architecture: "amd64" };
const wasip1 = { os: "wasip1", architecture: "wasm" };

function descriptor(mediaType: string, digit = "a") {
  return { mediaType, digest: `sha256:${digit.repeat(64)}`, size: 1 };
}

function manifest(configType: string, ...layerTypes: string[]) {
  return { config: descriptor(configType), layers: layerTypes.map((type) => descriptor(type)) };
}

for (const mediaType of [
  "application/wasm",
  "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
  "application/vnd.wasm.content.layer.v1+wasm",
  "application/vnd.module.wasm.content.layer.v1+wasm",
]) {
  layers(
    `an image with a layer of ${mediaType} is for wasm, also beside a tar layer and under linux/amd64`,
    () => {
      const contents = classifyImage(manifest(OCI_CONFIG, TAR, mediaType), linux);
      assert.is(contents.kind, "wasm");
      assert.equal(contents.kind === "wasm" && contents.layers.map((layer) => layer.mediaType), [mediaType]);
    },
  );
}

layers("an artifact with one wasm layer is for wasm", () => {
  const contents = classifyImage(manifest(wasmConfigMediaType, "application/wasm"), wasip1);
  assert.equal(contents, {
    kind: "wasm",
    layers: [descriptor("application/wasm")],
    config: { mediaType: wasmConfigMediaType, ...wasip1 },
  });
});

layers("an artifact with no layer, two, or one that is not wasm is refused", async () => {
  for (const types of [[], ["application/wasm", "application/wasm"], [TAR], ["application/wasm", TAR]]) {
    const classify = () => classifyImage(manifest(wasmConfigMediaType, ...types), wasip1);
    await rejects(classify, "invalid_argument", /exactly one layer of wasm/);
  }
});

layers("an image of tar layers is Linux unless its platform is one of wasm's", () => {
  assert.is(classifyImage(manifest(OCI_CONFIG, TAR), linux).kind, "linux");
  assert.is(classifyImage(manifest(OCI_CONFIG, TAR), {}).kind, "linux");
  for (const config of [
    wasip1,
    { os: "wasi", architecture: "wasm32" },
    { os: "linux", architecture: "wasm" },
  ]) {
    const contents = classifyImage(manifest(OCI_CONFIG, TAR), config);
    assert.equal(contents.kind === "wasm" && contents.layers, []);
  }
});

layers("garbage is refused and what is wrong is named", async () => {
  const good = descriptor("application/wasm");
  const cases: [unknown, RegExp][] = [
    [null, /manifest: not a JSON object/],
    [[], /manifest: not a JSON object/],
    [{ config: good }, /manifest: layers is missing/],
    [{ layers: [] }, /manifest: config: not a descriptor/],
    [{ config: good, layers: [7] }, /layers\[0\]: not a descriptor/],
    [
      { config: good, layers: [{ ...good, digest: "sha256:../../../etc/passwd" }] },
      /layers\[0\]: digest .*not of the form/,
    ],
    [{ config: good, layers: [{ ...good, digest: `sha512:${"a".repeat(128)}` }] }, /not of the form sha256/],
    [{ config: good, layers: [{ ...good, size: -1 }] }, /size -1 is not a size/],
    [{ config: good, layers: [{ ...good, size: 1e30 }] }, /is not a size/],
    [{ config: good, layers: [{ ...good, mediaType: undefined }] }, /mediaType is missing/],
  ];
  for (const [garbage, message] of cases)
    await rejects(() => classifyImage(garbage, linux), "invalid_argument", message);
  await rejects(
    () => classifyImage(manifest(OCI_CONFIG), "text"),
    "invalid_argument",
    /image config: not a JSON object/,
  );
});

layers("any JSON is classified or refused with an error of ours", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (config, layerList, imageConfig) => {
      try {
        classifyImage({ config, layers: layerList }, imageConfig);
      } catch (error) {
        assert.instance(error, TandemError);
      }
    }),
  );
});

layers("a wasm binary's form is in its layer field", () => {
  assert.is(wasmForm(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), "module");
  assert.is(wasmForm(Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0])), "component");
  assert.is(wasmForm(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 2, 0])), undefined);
  assert.is(wasmForm(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0])), undefined);
  assert.is(wasmForm(Buffer.from("\x7fELF\x02\x01\x01\x00")), undefined);
});

layers("text form is known by its beginning, after blanks and comments", () => {
  for (const text of ["(module)", "\n ;; a comment\n  (component\n", "(module $m"])
    assert.ok(isWat(Buffer.from(text)));
  for (const text of ["(modules)", "module", "#!/bin/sh", ""]) assert.not.ok(isWat(Buffer.from(text)));
});

layers.run();
