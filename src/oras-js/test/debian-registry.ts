import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** On the PATH, or unpacked from its package where the repository's set-up puts it. */
function findBinary(): string | undefined {
  const unpacked = fileURLToPath(new URL("../../../.cache/debian/docker-registry/usr/bin", import.meta.url));
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), unpacked];
  return directories.map((directory) => join(directory, "docker-registry")).find((path) => existsSync(path));
}

const binary = findBinary();

/** Why the tests against a real registry cannot run here, or undefined. */
export function missingRegistry(): string | undefined {
  return binary === undefined
    ? "docker-registry is not installed (Debian package docker-registry)"
    : undefined;
}

export interface RunningRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly address: string;
}

/** Starts Debian's docker-registry on a free loopback port, with its storage in a directory of its own. */
export async function startRegistry(options: { readonly htpasswd?: string } = {}): Promise<RunningRegistry> {
  if (binary === undefined) throw new Error(missingRegistry());
  const directory = await mkdtemp(join(tmpdir(), "oras-registry-"));
  const address = `127.0.0.1:${await freePort()}`;
  const auth =
    options.htpasswd === undefined
      ? ""
      : `auth:\n  htpasswd:\n    realm: test\n    path: ${directory}/htpasswd\n`;
  if (options.htpasswd !== undefined) await writeFile(join(directory, "htpasswd"), options.htpasswd);
  const storage = `storage:\n  filesystem:\n    rootdirectory: ${directory}/data\n  delete:\n    enabled: true\n`;
  const text = `version: 0.1\nlog:\n  level: error\n${storage}http:\n  addr: ${address}\n${auth}`;
  await writeFile(join(directory, "config.yml"), text);
  const child = spawn(binary, ["serve", join(directory, "config.yml")], { stdio: "ignore" });
  const exited = once(child, "exit");
  await answering(address, child);
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function answering(address: string, child: { readonly exitCode: number | null }): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (child.exitCode !== null) throw new Error(`docker-registry exited with ${child.exitCode}`);
    const response = await fetch(`http://${address}/v2/`).catch(() => undefined);
    if (response !== undefined) return;
    await sleep(50);
  }
  throw new Error("docker-registry does not answer");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
