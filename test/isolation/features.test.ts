import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec } from "../../src/bundle/spec.ts";
import { capabilityMasks } from "../../src/isolation/capabilities.ts";
import { features } from "../../src/isolation/features.ts";
import { parseOptions } from "../../src/isolation/mount-options.ts";
import {
  actionWord,
  architectureTokens,
  filterFlags,
  operatorNumber,
} from "../../src/isolation/seccomp/profile.ts";

const suiteOfFeatures = suite("features");

/** native/launcher/info.c reads no more. */
const launcherLimit = 48 * 1024;

suiteOfFeatures("is as small as the launcher wants it", () => {
  assert.ok(JSON.stringify(features).length < launcherLimit);
});

suiteOfFeatures("accepts both ends of the range of versions", () => {
  for (const ociVersion of [features.ociVersionMin, features.ociVersionMax])
    assert.is(parseSpec(JSON.stringify({ ociVersion })).ociVersion, ociVersion);
});

suiteOfFeatures("leaves none of its mount options to the file system", () => {
  const { mountOptions } = features;
  assert.is(new Set(mountOptions).size, mountOptions.length, "each once");
  for (const option of mountOptions) assert.equal(parseOptions([option]).data, [], option);
  for (const option of ["ro", "rro", "bind", "rbind", "rshared", "sync", "ridmap", "tmpcopyup"])
    assert.ok(mountOptions.includes(option), option);
});

suiteOfFeatures("lists namespaces and hooks that config.json may have", () => {
  const namespaces = features.linux.namespaces.map((type) => ({ type }));
  const hooks = Object.fromEntries(features.hooks.map((kind) => [kind, [{ path: "/bin/true" }]]));
  const spec = parseSpec(JSON.stringify({ ociVersion: "1.3.0", hooks, linux: { namespaces } }));
  assert.is(spec.linux?.namespaces?.length, 8);
  assert.is(features.hooks.length, 6);
});

suiteOfFeatures("lists capabilities that a process can be given", () => {
  const all = (1n << BigInt(features.linux.capabilities.length)) - 1n;
  assert.is(capabilityMasks({ bounding: features.linux.capabilities }, all).bounding, all);
});

suiteOfFeatures("lists what a seccomp profile can say", () => {
  const { actions, archs, knownFlags, operators } = features.linux.seccomp;
  for (const action of actions)
    assert.type(actionWord(action, undefined, { action: "action", errnoRet: "errnoRet" }), "number");
  // Of this machine at least its own; every other is known.
  assert.ok(architectureTokens(archs).length > 0);
  for (const operator of operators) assert.type(operatorNumber(operator, "op"), "number");
  assert.ok(filterFlags({ defaultAction: "SCMP_ACT_ALLOW", flags: knownFlags }) > 0);
  assert.ok(actions.includes("SCMP_ACT_NOTIFY"));
});

suiteOfFeatures.run();
