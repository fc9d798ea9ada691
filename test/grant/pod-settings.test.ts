import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { applySettings, httpLimitsOf } from "../../src/grant/apply-settings.ts";
import { mergeSettings, noSettings, readOperatorSettings } from "../../src/grant/pod-settings.ts";
import { settings } from "../../src/grant/settings.ts";

const test = suite("settings of a pod's grant");

const root = {
  guestPath: "/",
  source: { bind: "/", recursive: true },
  readonly: false,
  mounts: [
    { target: "/tmp", source: { tmpfs: [] }, readonly: false },
    { target: "/data", source: { bind: "/tmp", recursive: true }, readonly: true },
    { target: "/etc/hosts", source: { bind: "/proc/version", recursive: false }, readonly: true },
  ],
} as const;
const spec = {
  args: ["app"],
  env: [
    ["PATH", "/bin"],
    ["APP_KEY", "k"],
    ["APP_NAME", "n"],
  ],
  root,
} as const;

const operator = (wasm: Record<string, unknown>) => readOperatorSettings(wasm, "test.toml");
const annotate = (values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`tandem.dev/${name}`, value]));
const grantOf = (wasm: Record<string, unknown>, annotations: Record<string, string> = {}) =>
  applySettings(spec, mergeSettings(operator(wasm), annotate(annotations)));
const codeOf = (body: () => unknown): string | undefined => {
  try {
    body();
    return undefined;
  } catch (error) {
    return error instanceof TandemError ? error.code : "another error";
  }
};

test("without a word a container has what config.json says, and no network", () => {
  const { args, env, root: own } = spec;
  assert.equal(grantOf({}), { args, env, preopens: [own], listeners: 0 });
  assert.equal(httpLimitsOf(mergeSettings(noSettings, {}).values), {});
});

test("a pod may not widen what nobody allows, and may always narrow", () => {
  assert.is(
    codeOf(() => grantOf({}, { outbound: "example.com:443" })),
    "permission_denied",
  );
  assert.is(
    codeOf(() => grantOf({}, { inbound: "*:80" })),
    "permission_denied",
  );
  assert.is(
    codeOf(() => grantOf({}, { "max-concurrent-requests": "129" })),
    "permission_denied",
  );
  assert.is(grantOf({}, { "max-memory-size": "65536" }).limits?.memoryBytes, 65_536);
  assert.equal(httpLimitsOf(mergeSettings(noSettings, annotate({ "max-body": "1" })).values), {
    maxBodyBytes: 1,
  });
});

test("the operator's default is taken, narrowed, and widened as far as is allowed", () => {
  const wasm = {
    defaults: { outbound: ["*.example.com:443"], "max-memory-size": 1000 },
    allowed: { outbound: ["10.0.0.0/8"], "max-memory-size": 2000 },
  };
  assert.equal(grantOf(wasm).network, { outbound: ["*.example.com:443"], inbound: [] });
  assert.equal(grantOf(wasm, { outbound: "a.example.com:443, 10.1.0.0/16" }).network?.outbound, [
    "a.example.com:443",
    "10.1.0.0/16",
  ]);
  assert.is(grantOf(wasm, { outbound: "none" }).network, undefined);
  assert.is(
    codeOf(() => grantOf(wasm, { outbound: "a.example.com:444" })),
    "permission_denied",
  );
  assert.is(
    codeOf(() => grantOf(wasm, { outbound: "*" })),
    "permission_denied",
  );
  assert.is(grantOf(wasm, { "max-memory-size": "2000" }).limits?.memoryBytes, 2000);
  assert.is(
    codeOf(() => grantOf(wasm, { "max-memory-size": "2001" })),
    "permission_denied",
  );
});

test("what is allowed is a ceiling for who says nothing, too", () => {
  const allowed = {
    ...{ "max-memory-size": 1000, timeout: "10s", rootfs: "ro", protocols: ["http"] },
    ...{ "max-body": 10, "max-headers": 1000, "request-timeout": 0, outbound: ["*"] },
  };
  const wasm = { allowed, defaults: { outbound: ["*:443"] } };
  const grant = grantOf(wasm);
  assert.equal(grant.limits, { memoryBytes: 1000, wallMs: 10_000 });
  assert.is(grant.preopens[0]?.readonly, true);
  assert.equal(grant.network, { outbound: ["*:443"], inbound: [], protocols: ["http"] });
  const http = (more: object, wanted: Record<string, string> = {}) =>
    httpLimitsOf(mergeSettings(operator({ ...wasm, ...more }), annotate(wanted)).values);
  // The usual is not made more by what is allowed.
  assert.equal(http({}), { maxBodyBytes: 10 });
  assert.equal(http({ defaults: { "max-body": 20 } }), { maxBodyBytes: 20 });
  assert.equal(http({}, { "max-body": "5" }), { maxBodyBytes: 5 });
  assert.equal(http({ allowed: { "request-timeout": "1s" } }), { requestTimeoutMs: 1000 });
  assert.is(grantOf({ allowed: { outbound: ["*"] } }).network, undefined);
});

test("of lists of variables both count", () => {
  const names = (wasm: Record<string, unknown>, env?: string) =>
    grantOf(wasm, env === undefined ? {} : { env }).env.map(([name]) => name);
  assert.equal(names({}), ["PATH", "APP_KEY", "APP_NAME"]);
  assert.equal(names({ defaults: { env: ["APP_*"] } }), ["APP_KEY", "APP_NAME"]);
  assert.equal(names({ defaults: { env: ["APP_*"] } }, "APP_KEY, PATH"), ["APP_KEY"]);
  assert.equal(names({}, "none"), []);
  assert.equal(names({ defaults: { env: [] } }), []);
  assert.equal(names({}, "*"), ["PATH", "APP_KEY", "APP_NAME"]);
});

test("the root is as config.json has it, read-only, or only its volumes", () => {
  assert.is(grantOf({}, { rootfs: "ro" }).preopens[0]?.readonly, true);
  assert.equal(
    grantOf({}, { rootfs: "none" }).preopens.map(({ guestPath, readonly }) => [guestPath, readonly]),
    [
      ["/tmp", false],
      ["/data", true],
    ],
  );
  assert.is(
    codeOf(() => grantOf({ defaults: { rootfs: "none" } }, { rootfs: "rw" })),
    "permission_denied",
  );
  const most = { defaults: { rootfs: "none" }, allowed: { rootfs: "ro" } };
  assert.is(grantOf(most, { rootfs: "ro" }).preopens[0]?.readonly, true);
});

test("settings of HTTP: what is the component's own affair is free, and no time limit is more than any", () => {
  const limits = (wasm: Record<string, unknown>, annotations: Record<string, string>) =>
    httpLimitsOf(mergeSettings(readOperatorSettings(wasm, "test.toml"), annotate(annotations)).values);
  assert.equal(
    limits({}, { "max-instance-reuse-count": "128", "instance-reset": "n", "access-log": "json" }),
    { maxInstanceReuseCount: 128, instanceReset: false, accessLog: "json" },
  );
  assert.equal(limits({ defaults: { http2: false } }, {}), { http2: false });
  assert.is(
    codeOf(() => limits({}, { "request-timeout": "0" })),
    "permission_denied",
  );
  assert.equal(limits({ allowed: { "request-timeout": 0 } }, { "request-timeout": "3600" }), {
    requestTimeoutMs: 3_600_000,
  });
});

test("what is no setting, or no value of one, is an error that says where", () => {
  for (const [body, message] of [
    [() => grantOf({}, { nonsense: "1" }), /annotation tandem.dev\/nonsense: no such setting/],
    [() => grantOf({}, { "max-body": "much" }), /annotation tandem.dev\/max-body/],
    [() => grantOf({}, { "compute-timeout": "0" }), /tandem.dev\/compute-timeout: is at least 1/],
    [() => grantOf({}, { http2: "maybe" }), /tandem.dev\/http2: is y or n/],
    [() => grantOf({}, { "access-log": "xml" }), /access-log: is none of off, text, json/],
    [() => grantOf({}, { outbound: "a b" }), /annotation tandem.dev\/outbound/],
    [() => grantOf({}, { outbound: "" }), /annotation tandem.dev\/outbound: is empty.* none/],
    [() => grantOf({}, { seed: " " }), /annotation tandem.dev\/seed: is empty/],
    [() => operator({ defaults: { outbound: "" } }), /test.toml: wasm.defaults.outbound: is empty.* none/],
    [() => grantOf({}, { env: "*_KEY" }), /annotation tandem.dev\/env: \*_KEY is neither the name/],
    [() => grantOf({}, { env: "HOME, A*B" }), /tandem.dev\/env: A\*B is neither/],
    [() => operator({ defaults: { env: ["APP_ *"] } }), /wasm.defaults.env: "APP_ \*" is neither/],
    [() => grantOf({}, { "http-port": "0" }), /tandem.dev\/http-port: 0 is no port/],
    [() => operator({ default: {} }), /test.toml: unknown table or key wasm.default/],
    [() => operator({ defaults: { outbund: [] } }), /test.toml: wasm.defaults.outbund: no such setting/],
    [() => operator({ allowed: { env: ["A"] } }), /wasm.allowed.env: every pod may say that/],
    [() => operator({ defaults: { outbound: [1] } }), /wasm.defaults.outbound/],
    [() => operator({ defaults: 1 }), /wasm.defaults: is no table/],
  ] as const)
    assert.throws(body, message, message.source);
  assert.is(
    codeOf(() => mergeSettings(noSettings, { "tandem.dev/executor": "wasm", "other/x": "1" })),
    undefined,
  );
});

test("no annotation ever gives a limit above the largest that the operator names", () => {
  const names = Object.entries(settings).flatMap(([name, { guarded }]) =>
    guarded && name.startsWith("max-") ? [name] : [],
  );
  const least = 1024;
  void fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.integer({ min: least, max: 5000 }),
      fc.integer({ min: least, max: 5000 }),
      fc.integer({ min: least, max: 10_000 }),
      (name, usual, most, wanted) => {
        const wasm = { defaults: { [name]: usual }, allowed: { [name]: most } };
        const failed = codeOf(() => grantOf(wasm, { [name]: String(wanted) }));
        assert.is(failed, wanted <= Math.max(usual, most) ? undefined : "permission_denied");
      },
    ),
  );
});

test.run();
