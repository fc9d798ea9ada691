// Runs a transpiled component as a wasm process would, in a process of its own: node run-component.ts DIRECTORY NETWORK ARG…

import { loadComponent, readTranspiled } from "../../../wasm-host/component.ts";
import type { NetworkGrant } from "../../../wasm-host/grant.ts";

const [directory = "", network = "null", ...args] = process.argv.slice(2);
const grant = JSON.parse(network) as NetworkGrant | null;
const files = readTranspiled(directory);
if ("plan" in files) throw new Error("this is for components with glue");
const component = loadComponent({
  files,
  grant: {
    args: ["guest", ...args],
    env: [],
    preopens: [],
    stdio: { stdin: undefined, stdout: 1, stderr: 2 },
    ...(grant === null ? {} : { network: grant }),
  },
});
process.exit(await component.run());
