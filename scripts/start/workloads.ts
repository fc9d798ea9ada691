import { loadPod } from "../../examples/mixed-pod/pod.ts";
import type { ImageName } from "./images.ts";
import type { FirstByte, Node, Running } from "./node.ts";

/** A container and what came of it. */
export interface Outcome {
  readonly container: Running;
  /** First byte of another container of the same image in the same pod, started right after. */
  readonly againMs?: number;
  readonly exitStatus?: number;
  /** What it printed, or what it answered. */
  readonly said: readonly string[];
  readonly url?: string;
}

/** One step of the main job: it starts something now, and says later what came of it. */
export interface Workload {
  readonly title: string;
  run(node: Node): Promise<readonly (() => Promise<Outcome>)[]>;
}

/** Long enough to be looked at while it runs. */
const seconds = "1";

async function untilExit(container: Running): Promise<Outcome> {
  const exitStatus = await container.exitStatus();
  return { container, exitStatus, said: container.log().map(({ text }) => text) };
}

function greeting(name: ImageName & `hello-${string}`, command: readonly string[]): Workload {
  return {
    title: `${name} in a pod of its own`,
    async run(node) {
      const pod = await node.runPod(name);
      const container = await node.run(pod, { name, imageName: name, command });
      const again = await node.run(pod, { name: `${name}-again`, imageName: name, command });
      return [async () => ({ ...(await untilExit(container)), againMs: again.coldStartMs })];
    },
  };
}

/** Real requests, from outside the pod. */
async function ask(url: string): Promise<string[]> {
  const requests: readonly [string, RequestInit][] = [
    ["/", {}],
    ["/fibonacci?n=20", {}],
    ["/echo", { method: "POST", body: "from outside the pod" }],
  ];
  const said: string[] = [];
  for (const [path, init] of requests) {
    const response = await fetch(new URL(path, url), { ...init, signal: AbortSignal.timeout(10_000) });
    said.push(`${init.method ?? "GET"} ${path}: ${response.status} ${(await response.text()).trim()}`);
  }
  return said;
}

const httpFunction: Workload = {
  title: "http-function, asked from outside its pod",
  async run(node) {
    const pod = await node.runPod("http-function");
    const url = `http://${pod.ip}:8080/`;
    const container = await node.run(
      pod,
      { name: "http-function", imageName: "http-function", command: ["/http-function.wasm"] },
      { kind: "http", url },
    );
    const said = await ask(url);
    return [async () => ({ container, said, url })];
  },
};

/** Where all pods share one loopback, the second server takes another port. */
const sharedLoopbackPort = 8081;

const mixedPod: Workload = {
  title: "mixed-pod: wasm and Linux in one pod, over localhost",
  async run(node) {
    const { name, containers } = await loadPod();
    const pod = await node.runPod(name);
    const port = node.network === "bridge" ? 8080 : sharedLoopbackPort;
    const outcomes: (() => Promise<Outcome>)[] = [];
    for (const { name: containerName, image, args, env, ports, memoryLimit } of containers) {
      const serves = ports.length > 0;
      const url = `http://${pod.ip}:${port}/`;
      const firstByte: FirstByte = serves ? { kind: "http", url } : { kind: "line" };
      const container = await node.run(
        pod,
        {
          name: containerName,

          imageName: image.replace(/^tandem\/|:latest$/g, "") as ImageName,
          command: args,
          environment: serves
            ? env
            : { ...env, FUNCTION_URL: `http://127.0.0.1:${port}/`, REQUESTS: "3", INTERVAL: "0.2" },
          annotations: serves ? { "tandem.dev/http-port": String(port) } : {},
          memoryLimit,
        },
        firstByte,
      );
      outcomes.push(
        serves
          ? async () => ({ container, url, said: container.log().map(({ text }) => text) })
          : () => untilExit(container),
      );
    }
    return outcomes;
  },
};

/** What `npm start` runs, in this order. */
export const workloads: readonly Workload[] = [
  greeting("hello-wasm", ["/hello-wasm.wasm", "greet", seconds]),
  greeting("hello-component", ["/hello-component.wasm", "greet", seconds]),
  greeting("hello-linux", ["/bin/sh", "-c", `/bin/hello && sleep ${seconds}`]),
  httpFunction,
  mixedPod,
];
