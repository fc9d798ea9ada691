import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import { Client, mediaTypes, packImage } from "oras-js";
import { TandemError } from "../errors.ts";
import { wasmForm } from "../image/wasm-form.ts";
import { showTransfer } from "./show-transfer.ts";

/** `tandem push`: a module or component as an image that every containerd from 2.0 takes. */
export function addPush(program: Command): void {
  program
    .command("push")
    .description("publish a wasm module or component as an image with one wasm layer")
    .argument("<file>", "the .wasm file")
    .argument("<reference>", "registry/repository:tag")
    .option("--plain-http", "without TLS; on loopback that is the default")
    .action(async (file: string, reference: string, options: { readonly plainHttp?: boolean }) => {
      const client = new Client(options.plainHttp === true ? { plainHttp: true } : {});
      const { digest } = await client.push(reference, await pack(file), { onProgress: showTransfer });
      process.stdout.write(`${digest}\n`);
    });
}

async function pack(file: string) {
  const bytes = await readFile(file);
  const form = wasmForm(bytes);
  if (form === undefined)
    throw new TandemError("invalid_argument", `${file}: neither a wasm module nor a component`);
  return packImage({
    architecture: "wasm",
    os: form === "component" ? "wasip2" : "wasip1",
    config: { Entrypoint: [`/${basename(file)}`] },
    layers: [{ mediaType: mediaTypes.wasm, bytes }],
  });
}
