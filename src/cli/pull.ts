import type { Command } from "commander";
import { Client, Layout } from "oras-js";
import { showTransfer } from "./show-transfer.ts";

/** `tandem pull`: an image or artifact from a registry into an OCI image layout on disk. */
export function addPull(program: Command): void {
  program
    .command("pull")
    .description("fetch an image or artifact into an OCI image layout")
    .argument("<reference>", "registry/repository:tag or @digest")
    .requiredOption("-o, --output <directory>", "the layout's directory, made when it is not there")
    .option("--plain-http", "without TLS; on loopback that is the default")
    .action(async (reference: string, options: { readonly output: string; readonly plainHttp?: boolean }) => {
      const client = new Client(options.plainHttp === true ? { plainHttp: true } : {});
      const layout = new Layout(options.output);
      const { descriptor, bytes } = await client.pull(reference, layout, { onProgress: showTransfer });
      // Everything it names is in the layout by now; what is missing is the layout's own entry.
      await layout.add({
        name: reference,
        packed: { manifest: { descriptor, bytes }, blobs: [], children: [] },
      });
      process.stdout.write(`${descriptor.digest}\n`);
    });
}
