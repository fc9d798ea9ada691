import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../private-containerd/wait-for.ts";
import { root } from "./root.ts";

/** Where the pods' manifests look for images. In a network namespace of our own the port is free. */
export const registryAddress = "localhost:5000";

export interface Registry {
  stop(): Promise<void>;
}

function findRegistry(): string {
  const places = ["/usr/bin", join(root, ".cache/debian/docker-registry/usr/bin")];
  const found = places.map((place) => join(place, "docker-registry")).find((path) => existsSync(path));
  if (found === undefined)
    throw new Error("docker-registry is not here: scripts/unpack-debian docker-registry");
  return found;
}

/** Starts Debian's docker-registry on loopback with its storage below the directory. */
export async function startRegistry(directory: string): Promise<Registry> {
  const home = join(directory, "registry");
  mkdirSync(home);
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(home, "data") } },
    http: { addr: "127.0.0.1:5000" },
  };
  writeFileSync(join(home, "config.yml"), JSON.stringify(config)); // JSON is YAML
  const log = openSync(join(home, "log"), "a");
  // A group of its own, as containerd: Ctrl-C ends it when it is its turn.
  const child = spawn(findRegistry(), ["serve", join(home, "config.yml")], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let ended = false;
  child.on("error", () => {
    ended = true;
  });
  child.on("exit", () => {
    ended = true;
  });
  const answers = async (): Promise<boolean> => {
    if (ended) return true;
    return (await fetch(`http://${registryAddress}/v2/`)).ok;
  };
  await waitFor(answers, 10_000, "an answer of docker-registry");
  if (ended) throw new Error(`docker-registry does not start:\n${readFileSync(join(home, "log"), "utf8")}`);
  return {
    async stop() {
      child.kill("SIGTERM");
      await waitFor(() => ended, 10_000, "the end of docker-registry");
    },
  };
}
