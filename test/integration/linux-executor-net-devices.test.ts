import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { create, createBundle, exitOf, failure, lines, run, specOf } from "./linux-container.ts";

// The devices are those of the runtime's network namespace, so this file runs in one of its own.
if (process.env["TANDEM_TEST_NETNS"] === undefined) {
  const { status } = spawnSync(
    "unshare",
    ["--net", process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      stdio: "inherit",
      env: { ...process.env, TANDEM_TEST_NETNS: "1" },
    },
  );
  process.exit(status ?? 1);
}

const linux = suite("linux executor: network devices");

function ip(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  return stdout;
}

const names = (): string[] => lines(ip("-o", "link")).map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? line);

linux.before.each(() => {
  ip("link", "add", "veth0", "type", "veth", "peer", "name", "peer0");
});
linux.after.each(() => {
  // The container's end may be taking it away at this very moment: only that it goes counts.
  spawnSync("ip", ["link", "del", "peer0"]);
  assert.not.ok(names().includes("peer0"));
  // A namespace is taken down after its last process, and its devices with it.
  for (let round = 0; names().includes("veth0") && round < 100; round++) spawnSync("sleep", ["0.05"]);
});

linux("a device moves into the container, is renamed, keeps what lasts, and is up", async () => {
  ip("link", "set", "veth0", "mtu", "1345", "address", "02:00:00:00:12:34", "up");
  ip("addr", "add", "10.88.7.2/24", "broadcast", "10.88.7.255", "label", "veth0:one", "dev", "veth0");
  ip("addr", "add", "10.88.7.3/24", "dev", "veth0");
  ip("addr", "add", "192.0.2.1", "peer", "192.0.2.2/32", "dev", "veth0", "scope", "link");
  ip("addr", "add", "10.99.0.1/16", "dev", "veth0", "valid_lft", "300", "preferred_lft", "300");
  ip("addr", "add", "fd00:88::2/64", "dev", "veth0", "nodad", "noprefixroute");
  const script = "ip -o link show eth5; ip -o addr show eth5; cat /proc/net/ipv6_route";
  const { output } = await run(specOf(script, { linux: { netDevices: { veth0: { name: "eth5" } } } }));
  assert.match(output, /eth5@.*[<,]UP[,>].*mtu 1345/);
  assert.match(output, /02:00:00:00:12:34/);
  assert.match(output, /inet 10\.88\.7\.2\/24 brd 10\.88\.7\.255 scope global eth5:one/);
  assert.match(output, /inet 10\.88\.7\.3\/24/);
  assert.match(output, /inet6 fd00:88::2\/64 scope global/);
  assert.not.match(output, /192\.0\.2\.1/, "of link scope");
  assert.not.match(output, /10\.99\.0\.1/, "not permanent");
  assert.not.match(output, /^fd0000880{21} 40/m, "the route that noprefixroute forgoes");
  assert.not.ok(names().includes("veth0"));
});

linux("the kernel numbers a template", async () => {
  const { output } = await run(specOf("ip -o link", { linux: { netDevices: { veth0: { name: "net%d" } } } }));
  assert.match(output, /: net0@/);
});

linux("without a name the device keeps its own, and is up", async () => {
  const { output } = await run(specOf("ip -o link show veth0", { linux: { netDevices: { veth0: {} } } }));
  assert.match(output, /veth0@.*[<,]UP[,>]/);
});

linux("a name that the container has already is refused, and the device stays as it was", async () => {
  ip("link", "set", "veth0", "up");
  ip("addr", "add", "10.88.7.2/24", "dev", "veth0");
  const error = await failure(run(specOf("true", { linux: { netDevices: { veth0: { name: "lo" } } } })));
  assert.is(error.code, "already_exists");
  assert.match(error.message, /linux\.netDevices\.veth0: RTM_NEWLINK lo: File exists/);
  assert.match(ip("-o", "addr", "show", "veth0"), /10\.88\.7\.2\/24/);
});

linux("a device that is not there, or that no namespace may have, is refused by name", async () => {
  const missing = await failure(run(specOf("true", { linux: { netDevices: { nope: {} } } })));
  assert.match(missing.message, /linux\.netDevices\.nope: RTM_GETLINK nope: No such device/);
  const local = await failure(run(specOf("true", { linux: { netDevices: { lo: { name: "lo1" } } } })));
  assert.match(local.message, /linux\.netDevices\.lo: RTM_NEWLINK lo1: Invalid argument/);
});

linux("the devices of a container that cannot be made are back, with their addresses", async () => {
  ip("link", "set", "veth0", "up");
  ip("addr", "add", "10.88.7.2/24", "dev", "veth0");
  const spec = specOf("true", {
    process: { args: ["/no/such/program"] },
    linux: { netDevices: { veth0: { name: "eth5" } } },
  });
  const error = await failure(run(spec));
  assert.match(error.message, /no such file/);
  assert.match(ip("-o", "addr", "show", "veth0"), /10\.88\.7\.2\/24/);
  assert.match(ip("-o", "link", "show", "veth0"), /[<,]UP[,>]/);
  const second = specOf("true", { linux: { netDevices: { veth0: { name: "eth5" }, nope: {} } } });
  ip("link", "set", "veth0", "down");
  assert.match((await failure(run(second))).message, /linux\.netDevices\.nope/);
  assert.match(ip("-o", "addr", "show", "veth0"), /10\.88\.7\.2\/24/);
  assert.not.match(ip("-o", "link", "show", "veth0"), /[<,]UP[,>]/);
});

linux("a virtual device ends with the namespace that it was moved into", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(
      bundle,
      specOf("exec sleep 100", { linux: { netDevices: { veth0: {} } } }),
    );
    await container.init.start();
    assert.equal(names().sort(), ["lo", "peer0"]);
    container.init.kill(9);
    await exitOf(container.init);
    for (let round = 0; names().includes("peer0") && round < 100; round++) spawnSync("sleep", ["0.05"]);
    assert.equal(names(), ["lo"]);
  } finally {
    bundle.remove();
  }
});

linux.run();
