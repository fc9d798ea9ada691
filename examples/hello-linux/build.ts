import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { packImage, packTarLayer, type TarEntry } from "oras-js";
import { type BuiltImage, type Example, hostPlatform } from "../built-image.ts";

const run = promisify(execFile);

/** Debian's busybox-static; `busybox` itself may be the dynamic one. */
const busyboxPath = "/bin/busybox";

/** A small userland: busybox under all its names, a root user, and one script that says hello. */
export async function build(): Promise<BuiltImage> {
  const layer = await packTarLayer(await rootfs());
  const packed = packImage({
    ...hostPlatform,
    config: { Cmd: ["/bin/hello"], Env: ["PATH=/bin", "GREETING=from the image"], WorkingDir: "/" },
    layers: [layer],
  });
  return { name: "tandem/hello-linux:latest", packed, platform: hostPlatform };
}

async function rootfs(): Promise<readonly TarEntry[]> {
  const busybox = await readFile(busyboxPath);
  const script = await readFile(new URL("hello.sh", import.meta.url));
  const { stdout } = await run(busyboxPath, ["--list"]);
  const applets = stdout.split("\n").filter((name) => name !== "" && name !== "busybox");
  return [
    { type: "file", path: "bin/busybox", bytes: busybox, mode: 0o755 },
    ...applets.map((name): TarEntry => ({ type: "symlink", path: `bin/${name}`, target: "busybox" })),
    { type: "file", path: "bin/hello", bytes: script, mode: 0o755 },
    {
      type: "file",
      path: "etc/passwd",
      bytes: Buffer.from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
    },
    { type: "file", path: "etc/group", bytes: Buffer.from("root:x:0:\nnogroup:x:65534:\n") },
    ...["dev", "proc", "sys", "run"].map((path): TarEntry => ({ type: "directory", path })),
    { type: "directory", path: "root", mode: 0o700 },
    { type: "directory", path: "tmp", mode: 0o1777 },
  ];
}

export const examples: readonly Example[] = [
  { name: "hello-linux", summary: "busybox and a script, an ordinary Linux image", build },
];
