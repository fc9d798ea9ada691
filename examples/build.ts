import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Listr } from "listr2";
import { Client, writeLayoutTar } from "oras-js";
import { type BuiltImage, type Example, referenceOn } from "./built-image.ts";
import { examples as helloComponent } from "./hello-component/build.ts";
import { examples as helloLinux } from "./hello-linux/build.ts";
import { examples as helloWasm } from "./hello-wasm/build.ts";
import { examples as httpFunction } from "./http-function/build.ts";
import { examples as pause } from "./pause/build.ts";

/** Every image of the examples. mixed-pod and kubernetes run these; they have none of their own. */
export const allExamples: readonly Example[] = [
  ...helloWasm,
  ...helloComponent,
  ...httpFunction,
  ...helloLinux,
  ...pause,
];

/** Pushes an image and returns its reference on the registry, with what to show meanwhile. */
export async function pushImage(
  client: Client,
  registry: string,
  image: BuiltImage,
  onProgress: (text: string) => void = () => undefined,
): Promise<string> {
  const reference = referenceOn(registry, image);
  await client.push(reference, image.packed, {
    onProgress: ({ descriptor, transferred }) => {
      const share = descriptor.size === 0 ? 1 : transferred / descriptor.size;
      onProgress(`${descriptor.digest.slice(7, 19)} ${Math.round(share * 100)} %`);
    },
  });
  return reference;
}

const usage = "usage: node examples/build.ts [--push localhost:5000] [--out DIR] [name …]";

async function main(args: readonly string[]): Promise<void> {
  const options = { push: { type: "string" }, out: { type: "string" } } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const unknown = positionals.filter((name) => !allExamples.some((example) => example.name === name));
  if (unknown.length > 0) throw new Error(`no such example: ${unknown.join(" ")}\n${usage}`);
  const chosen = allExamples.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const client = new Client();
  const tasks = chosen.map((example) => ({
    title: `${example.name}: ${example.summary}`,
    async task(_context: unknown, task: { output: unknown; title: unknown }) {
      const image = await example.build();
      if (values.out !== undefined) {
        await mkdir(values.out, { recursive: true });
        await writeLayoutTar(join(values.out, `${example.name}.tar`), [
          { ...image, name: `localhost/${image.name}` },
        ]);
      }
      const pushed =
        values.push === undefined
          ? image.name
          : await pushImage(client, values.push, image, (text) => {
              task.output = text;
            });
      task.title = `${example.name}: ${pushed} ${image.packed.manifest.descriptor.digest}`;
    },
  }));
  await new Listr(tasks, { concurrent: false }).run();
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
