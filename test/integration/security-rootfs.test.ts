/** Mounts of a Create request that lie below the root: the image has a say in what their paths lead to. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mountRootfs, type RootfsMount } from "../../src/bundle/rootfs.ts";
import { createBundle } from "./linux-container.ts";

const security = suite("a hostile image: mounts below its root");

interface Scene {
  readonly bundle: string;
  readonly image: string;
  readonly outside: string;
  readonly source: string;
}

function scene(body: (scene: Scene) => void): void {
  const place = createBundle();
  const at = (name: string): string => {
    mkdirSync(join(place.path, name));
    return join(place.path, name);
  };
  try {
    const made = { bundle: at("bundle"), image: at("image"), outside: at("outside"), source: at("source") };
    writeFileSync(join(made.source, "marker"), "");
    writeFileSync(join(made.outside, "file"), "");
    body(made);
    const left = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    assert.equal(
      left.filter((line) => line.includes(place.path)),
      [],
    );
  } finally {
    place.remove();
  }
}

const bind = (source: string, target: string, ...options: string[]): RootfsMount => ({
  type: "bind",
  source,
  target,
  options: ["rbind", ...options],
});

for (const link of ["absolute", "climbing"] as const) {
  security(`${link} symlinks on the way do not lead out of it, in being mounted and unmounted`, () =>
    scene(({ bundle, image, outside, source }) => {
      symlinkSync(
        link === "absolute" ? outside : `${"../".repeat(20)}${outside.slice(1)}`,
        join(image, "link"),
      );
      mkdirSync(join(image, outside), { recursive: true });
      const rootfs = mountRootfs(bundle, [bind(image, ""), bind(source, "/link/deep", "ro")], "rootfs");
      try {
        assert.equal(readdirSync(outside), ["file"]);
        assert.ok(existsSync(join(rootfs.path, outside, "deep/marker")));
        assert.throws(() => writeFileSync(join(rootfs.path, outside, "deep/new"), ""), /EROFS/);
        // What goes with the root needs no name of its own, which would be the image's to bend by then.
        assert.equal(rootfs.mountPoints, [rootfs.path]);
      } finally {
        rootfs.unmount();
      }
    }),
  );
}

security("a target with .. is refused, and nothing stays mounted", () =>
  scene(({ bundle, image, source }) => {
    assert.throws(
      () => mountRootfs(bundle, [bind(image, ""), bind(source, "/a/../../b")], "rootfs"),
      /leaves the rootfs/,
    );
  }),
);

security("without a mount of the root itself each one below it is recorded by where it really is", () =>
  scene(({ bundle, source }) => {
    const rootfs = mountRootfs(bundle, [bind(source, "/one"), bind(source, "two/deep/")], "rootfs");
    try {
      assert.equal(rootfs.mountPoints, [join(rootfs.path, "one"), join(rootfs.path, "two/deep")]);
    } finally {
      rootfs.unmount();
    }
  }),
);

security.run();
