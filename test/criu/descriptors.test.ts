import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { describeStdio, externalFiles, inheritedStdio } from "../../src/criu/descriptors.ts";

const stdio = suite("what 0, 1 and 2 are for criu");

stdio("pipes are known by their inode, a file that the mounts show by its path", () => {
  const child = spawn("/bin/sleep", ["60"], { stdio: ["ignore", "pipe", "pipe"] });
  try {
    const [stdin, stdout = "", stderr] = describeStdio(child.pid ?? 0);
    assert.is(stdin, "/dev/null");
    // Node's pipes are sockets.
    assert.match(stdout, /^(socket|pipe):\[\d+\]$/);
    assert.is.not(stdout, stderr);
  } finally {
    child.kill("SIGKILL");
  }
});

// Only root may unmount.
const asRoot = process.geteuid?.() === 0 ? stdio : stdio.skip;
asRoot("a file that they do not show is known by its mount and inode", async () => {
  // Its own mount namespace without /dev: the descriptor stays.
  const script = "umount -l /dev && echo ready && exec sleep 60";
  const child = spawn("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const inode = statSync("/dev/null").ino.toString(16);
    assert.match(describeStdio(child.pid ?? 0)[0] ?? "", new RegExp(`^file\\[[0-9a-f]+:${inode}\\]$`));
  } finally {
    child.kill("SIGKILL");
  }
});

stdio("each comes once, and what the container has itself not at all", () => {
  const names = ["/dev/pts/0", "file[1b:9]", "file[1b:9]"];
  assert.equal(externalFiles(names), ["file[1b:9]"]);
  assert.equal(inheritedStdio(names), [{ key: "file[1b:9]", fd: 1 }]);
  assert.equal(externalFiles(["pipe:[1]", "pipe:[2]", "pipe:[2]"]), []);
  assert.equal(inheritedStdio(["pipe:[1]", "pipe:[2]", "pipe:[2]"]), [
    { key: "pipe:[1]", fd: 0 },
    { key: "pipe:[2]", fd: 1 },
  ]);
});

stdio.run();
