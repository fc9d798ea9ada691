/**
 * Somebody with a hand in a volume exchanges names in it while a container is made with mounts there: CVE-2021-30465,
 * CVE-2024-45310 (files made on the host), CVE-2025-31133 and CVE-2025-52565 (what is bound as a mask or a console).
 */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Spec } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { Exchanger } from "./hostile.ts";
import { create, createBundle, exitOf, specOf } from "./linux-container.ts";

const security = suite("a hostile Linux container: races");
const rounds = 25;

interface Round {
  readonly output: string;
  readonly error: string;
}

/** Runs a container again and again while two names of `volume` change places; what it says, or why it could not be made. */
async function race(
  spec: Spec,
  volume: { readonly path: string; readonly names: readonly [string, string] },
  prepare: (bundle: { path: string; rootfs: string }) => void = () => undefined,
): Promise<Round[]> {
  const exchanger = new Exchanger(volume.path, ...volume.names);
  await exchanger.ready();
  const results: Round[] = [];
  try {
    for (let round = 0; round < rounds; round++) results.push(await once(spec, prepare));
  } finally {
    await exchanger.stop();
  }
  return results;
}

async function once(spec: Spec, prepare: (bundle: { path: string; rootfs: string }) => void): Promise<Round> {
  const bundle = createBundle();
  try {
    prepare(bundle);
    const { container, output } = await create(bundle, spec);
    await container.init.start();
    await exitOf(container.init);
    await container.release();
    return { output: output(), error: "" };
  } catch (error) {
    // Refused by name is fine; anything else is not.
    assert.instance(error, TandemError);
    return { output: "", error: (error as TandemError).message };
  } finally {
    bundle.remove();
  }
}

const base = specOf("true").mounts ?? [];

for (const kind of ["absolute", "climbing"] as const) {
  security(
    `what is mounted or made in a volume stays in the container's root, with ${kind} links`,
    async () => {
      const place = createBundle();
      try {
        const outside = join(place.path, "outside");
        const volume = join(place.path, "volume");
        const source = join(place.path, "source");
        for (const directory of [outside, volume, source, join(volume, "inner")]) mkdirSync(directory);
        chmodSync(outside, 0o700);
        writeFileSync(join(source, "marker"), "mounted\n");
        const climb = "../".repeat(20);
        symlinkSync(kind === "absolute" ? outside : climb + outside.slice(1), join(volume, "link"));
        const spec = specOf("cat /safe/marker", {
          process: { cwd: "/vol/inner/cwd" },
          mounts: [
            ...base,
            { destination: "/safe", type: "bind", source, options: ["rbind", "ro"] },
            { destination: "/vol", type: "bind", source: volume, options: ["rbind"] },
            { destination: "/vol/inner/dir/deep", type: "bind", source, options: ["rbind"] },
            { destination: "/vol/inner/file", source: join(source, "marker"), options: ["bind"] },
            { destination: "/vol/inner", type: "tmpfs", options: ["tmpcopyup", "rprivate", "mode=777"] },
          ],
          linux: {
            ...specOf("true").linux,
            devices: [{ type: "c", path: "/vol/inner/node", major: 1, minor: 3 }],
            maskedPaths: ["/vol/inner/file"],
            readonlyPaths: ["/vol/inner/dir"],
          },
        });
        const results = await race(spec, { path: volume, names: ["inner", "link"] });
        assert.equal(readdirSync(outside), [], JSON.stringify(results.slice(0, 5)));
        assert.is(statSync(outside).mode & 0o7777, 0o700);
        assert.equal(readdirSync(source), ["marker"]);
        assert.ok(
          results.some(({ output }) => output === "mounted\n"),
          `none was made: ${results[0]?.error}`,
        );
      } finally {
        place.remove();
      }
    },
  );
}

security("a mask is the null device, whatever /dev/null is just then (CVE-2025-31133)", async () => {
  const place = createBundle();
  try {
    const dev = join(place.path, "dev");
    mkdirSync(dev);
    execFileSync("mknod", ["-m", "666", join(dev, "null"), "c", "1", "3"]);
    symlinkSync("/proc/sys/kernel/hostname", join(dev, "link"));
    const spec = specOf("stat -c %t:%T /etc/secret; cat /etc/secret", {
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "bind", source: dev, options: ["rbind"] },
      ],
      linux: { ...specOf("true").linux, maskedPaths: ["/etc/secret"] },
    });
    const results = await race(spec, { path: dev, names: ["null", "link"] }, ({ rootfs }) =>
      writeFileSync(join(rootfs, "etc/secret"), "secret\n"),
    );
    for (const { output, error } of results) {
      if (error === "") assert.is(output, "1:3\n");
      else assert.match(error, /\/dev\/null/);
    }
    assert.ok(
      results.some(({ error }) => error === ""),
      results[0]?.error,
    );
    assert.ok(
      results.some(({ error }) => error !== ""),
      "it never met the link",
    );
  } finally {
    place.remove();
  }
});

security("a console is bound on /dev/console and nothing else (CVE-2025-52565)", async () => {
  const place = createBundle();
  try {
    const dev = join(place.path, "dev");
    mkdirSync(join(dev, "pts"), { recursive: true });
    writeFileSync(join(dev, "console"), "");
    execFileSync("mknod", ["-m", "666", join(dev, "null"), "c", "1", "3"]);
    symlinkSync("/report/hostname", join(dev, "link"));
    const report = join(place.path, "report");
    mkdirSync(report);
    writeFileSync(join(report, "hostname"), "");
    const spec = specOf("grep -c /hostname /proc/self/mountinfo > /report/$$-found; true", {
      process: { terminal: true },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/report", type: "bind", source: report, options: ["rbind"] },
        { destination: "/dev", type: "bind", source: dev, options: ["rbind"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["newinstance", "ptmxmode=0666"],
        },
      ],
    });
    const exchanger = new Exchanger(dev, "console", "link");
    await exchanger.ready();
    const found: string[] = [];
    try {
      for (let round = 0; round < rounds; round++) {
        rmSync(join(report, "1-found"), { force: true });
        const bundle = createBundle();
        try {
          const { container } = await create(bundle, spec);
          await container.init.start();
          await exitOf(container.init);
          closeSync(container.init.console as number);
          if (existsSync(join(report, "1-found")))
            found.push(readFileSync(join(report, "1-found"), "utf8").trim());
        } catch (error) {
          assert.match((error as Error).message, /\/dev\/console/);
        } finally {
          bundle.remove();
        }
      }
    } finally {
      await exchanger.stop();
    }
    assert.ok(found.length > 0);
    assert.ok(
      found.every((count) => count === "0"),
      found.join(),
    );
  } finally {
    place.remove();
  }
});

security.run();
