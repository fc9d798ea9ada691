/** Buildah's `run` and `bud` with `--runtime tandem-oci`: storage of its own, an image made here, no network but loopback. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { Household, ociBinary } from "../support/household.ts";
import { busyboxLayer } from "../support/image.ts";

const program = "/usr/bin/buildah";
const directory = mkdtempSync("/tmp/tb-");
const household = new Household(join(directory, "t"));
const image = "localhost/busybox";

const buildah = suite("Buildah");
const absent = [program, ociBinary].find((path) => !existsSync(path));
/** Registers a test, or says why it cannot be had here. */
const test = (name: string, body: () => Promise<void>): void => {
  if (absent === undefined) buildah(name, body);
  else buildah.skip(`${name} (no ${absent})`, body);
};

const at = (name: string) => join(directory, name);

function call(...parameters: string[]): Promise<Finished> {
  const environment = [
    ...["PATH=/usr/sbin:/usr/bin:/sbin:/bin", `HOME=${directory}`],
    ...[`CONTAINERS_CONF=${at("containers.conf")}`, `CONTAINERS_STORAGE_CONF=${at("storage.conf")}`],
  ];
  const places = ["--root", at("root"), "--runroot", at("run"), "--storage-driver", "overlay"];
  return run("env", ["--ignore-environment", ...environment, program, ...places, ...parameters]);
}

async function ok(...parameters: string[]): Promise<string> {
  const finished = await call(...parameters);
  assert.is(finished.status, 0, `${parameters.join(" ")}: ${finished.stdout}${finished.stderr}`);
  return finished.stdout.trim();
}

const ours = ["--runtime", household.program(), "--network", "none"];

buildah.before(async () => {
  const storage = `driver = "overlay"\nrunroot = "${at("run")}"\ngraphroot = "${at("root")}"`;
  writeFileSync(at("storage.conf"), `[storage]\n${storage}\n`);
  // The limits that it sets by itself are higher than a machine without CAP_SYS_RESOURCE lets anybody go.
  const limits = 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]';
  writeFileSync(at("containers.conf"), `[containers]\n${limits}\n`);
  if (absent !== undefined) return;
  writeFileSync(at("busybox.tar"), (await busyboxLayer()).data);
  const container = await ok("from", "scratch");
  await ok("add", container, at("busybox.tar"), "/");
  await ok("config", "--env", "PATH=/bin", container);
  await ok("commit", "--rm", container, image);
});
buildah.after(async () => {
  if (absent === undefined) await ok("rm", "--all");
  household.end();
  // The storage keeps itself mounted.
  await run("umount", ["--lazy", at("root/overlay")]);
  rmSync(directory, { recursive: true });
});

test("buildah run executes in the working container and ends with the program's status", async () => {
  const container = await ok("from", "--pull-never", image);
  assert.is(await ok("run", ...ours, container, "--", "sh", "-c", "echo kept >/kept; cat /kept"), "kept");
  assert.is(await ok("run", ...ours, container, "--", "cat", "/kept"), "kept");
  assert.is((await call("run", ...ours, container, "--", "sh", "-c", "exit 6")).status, 6);
  assert.match((await call("run", ...ours, container, "--", "nowhere")).stderr, /executable file not found/);
  const piped = await ok(
    "run",
    ...ours,
    "--user",
    "65534",
    "--workingdir",
    "/tmp",
    container,
    "--",
    "sh",
    "-c",
    "id -u; pwd",
  );
  assert.is(piped, "65534\n/tmp");
  assert.is(
    await ok(
      "run",
      ...ours,
      "--volume",
      `${directory}:/v:ro`,
      container,
      "--",
      "test",
      "-e",
      "/v/busybox.tar",
    ),
    "",
  );
});

test("a build's steps see what those before them have done, and a step that fails ends it", async () => {
  const context = at("context");
  mkdirSync(context);
  const steps = [
    "RUN echo one >/built",
    "COPY added /added",
    "RUN cat /added >>/built",
    "USER nobody",
    "RUN id -u >/tmp/who",
  ];
  writeFileSync(join(context, "added"), "two\n");
  writeFileSync(join(context, "Containerfile"), `FROM ${image}\n${steps.join("\n")}\n`);
  await ok("bud", ...ours, "--pull-never", "--tag", "localhost/built", context);
  const container = await ok("from", "--pull-never", "localhost/built");
  assert.is(await ok("run", ...ours, container, "--", "cat", "/built", "/tmp/who"), "one\ntwo\n65534");
  writeFileSync(join(context, "Containerfile"), `FROM ${image}\nRUN exit 5\n`);
  const failed = await call("bud", ...ours, "--pull-never", context);
  assert.is.not(failed.status, 0);
  assert.match(failed.stderr, /exit status 5/);
});

buildah.run();
