import { mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { DockerSuite, lines } from "../support/docker-suite.ts";

const suite = new DockerSuite("what containers are given");
const { background, shell, test } = suite;

test("top, stats and update see and change the container's processes and cgroup", async (docker) => {
  await using _box = await background("box", "sleep 777 & wait");
  const top = lines(await docker.ok(["top", "box", "-o", "pid,args"]));
  assert.is(top.length, 3);
  assert.match(top[2] ?? "", /sleep 777/);
  const stats = await docker.ok(["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box"]);
  assert.match(stats, /^2 \S*[1-9]\S*[KM]iB \//);

  const change = ["--memory", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5"];
  await docker.ok(["update", ...change, "box"]);
  const limits = "cd /sys/fs/cgroup; cat pids/pids.max cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes";
  const unified = "cat pids.max cpu.max memory.max | cut -d' ' -f1";
  const seen = await docker.ok(["exec", "box", "sh", "-c", `${limits} 2>/dev/null || ${unified}`]);
  assert.equal(lines(seen), ["50", "50000", String(64 << 20)]);
});

test("a container that takes too much memory is killed, and Docker says why", async (docker) => {
  const limits = ["--memory", "16m", "--memory-swap", "16m"];
  await using _box = await background("hog", "sleep 0.2; exec tail /dev/zero", ...limits);
  assert.is(await docker.ok(["wait", "hog"]), "137");
  assert.is(await docker.inspect("hog", "{{.State.OOMKilled}}"), "true");
});

test("a read-only root, a tmpfs, volumes and binds are what they say", async (docker) => {
  const readonly = await shell("touch /x || touch /t/x && echo only there", "--read-only", "--tmpfs", "/t");
  assert.is(readonly.stdout, "only there\n");
  const volume = "tandem-volume";
  await docker.ok(["volume", "create", volume]);
  assert.is((await shell("echo kept > /v/f", "-v", `${volume}:/v`)).status, 0);
  const again = await shell("cat /v/f; echo more > /v/f", "-v", `${volume}:/v:ro`);
  assert.is(again.stdout, "kept\n");
  assert.match(again.stderr, /Read-only file system/);
  await docker.ok(["volume", "rm", volume]);
  using source = mkdtempDisposableSync("/tmp/tdk-");
  writeFileSync(join(source.path, "bound"), "from outside\n");
  assert.is((await shell("cat /b/bound", "-v", `${source.path}:/b:ro`)).stdout, "from outside\n");
});

test("containers of a network find each other by name, and the host them by a published port", async (docker) => {
  await docker.ok(["network", "create", "tandem-net"]);
  {
    const serve = "mkdir /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w";
    const options = ["--network", "tandem-net", "--publish", "18080:80"];
    await using _server = await background("server", serve, ...options);
    const fetch = "for i in $(seq 50); do wget -qO- http://server/ && exit; sleep 0.1; done";
    assert.is((await shell(fetch, "--network", "tandem-net")).stdout, "page\n");
    const address = await docker.inspect("server", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    const wget = ["wget", "-qO-", `http://${address}:18080/`];
    const published = await docker.containerd.inNetwork("busybox", wget, { timeoutMs: 10_000 });
    assert.is(published.stdout, "page\n", published.stderr);
    const shared = await shell("wget -qO- http://127.0.0.1/", "--network", "container:server");
    assert.is(shared.stdout, "page\n");
  }
  await docker.ok(["network", "rm", "tandem-net"]);
  assert.is((await shell("ls /sys/class/net", "--network", "none")).stdout, "lo\n");
  const outside = await docker.containerd.inNetwork("readlink", ["/proc/self/ns/net"]);
  assert.is((await shell("readlink /proc/self/ns/net", "--network", "host")).stdout, outside.stdout);
});

test("namespaces are shared with another container or the host when the user says so", async () => {
  await using _box = await background("box", "sleep 778 & wait");
  assert.match((await shell("ps", "--pid", "container:box")).stdout, /sleep 778/);
  const own = (type: string) => readFileSync(`/proc/sys/kernel/${type}`, "utf8");
  const outside = await shell(
    "hostname; ls /proc/$1/exe >/dev/null && echo seen",
    "--uts=host",
    "--pid=host",
    "--ipc=host",
  );
  assert.match(outside.stdout, new RegExp(`^${own("hostname").trim()}\n`));
  const cgroup = await shell("grep -v ':/$' /proc/self/cgroup | wc -l", "--cgroupns", "private");
  assert.is(cgroup.stdout.trim(), "0");
});

test("privileges are those that are granted, and no more", async () => {
  const status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
  const dropped = ["--cap-drop", "ALL", "--cap-add", "NET_RAW", "--security-opt", "no-new-privileges"];
  const strict = await shell(status, ...dropped);
  assert.equal(lines(strict.stdout), ["CapEff:\t0000000000002000", "NoNewPrivs:\t1", "Seccomp:\t2"]);
  const usual = await shell(`${status}; unshare -m true || echo refused`);
  assert.equal(lines(usual.stdout), [
    "CapEff:\t00000000a80425fb",
    "NoNewPrivs:\t0",
    "Seccomp:\t2",
    "refused",
  ]);
  const privileged = await shell(`${status}; mount -t tmpfs none /tmp && echo mounted`, "--privileged");
  const own = readFileSync("/proc/self/status", "utf8");
  assert.ok(own.includes(lines(privileged.stdout)[0] ?? "nothing"), privileged.stdout);
  assert.match(privileged.stdout, /Seccomp:\t0\nmounted\n$/);
});

test("user, limits, sysctls, devices, shm, hostname and init reach the program", async () => {
  const options = [
    ...["--user", "nobody", "--ulimit", "nofile=100:200", "--sysctl", "net.ipv4.ip_default_ttl=77"],
    ...["--device", "/dev/kmsg:/dev/log0", "--shm-size", "8m", "--hostname", "boxed", "--init"],
  ];
  const script =
    "id -u; ulimit -n; cat /proc/sys/net/ipv4/ip_default_ttl; test -c /dev/log0 && echo device; hostname; ps -o args | sed -n 2p; grep /dev/shm /proc/mounts";
  const shown = lines((await shell(script, ...options)).stdout);
  assert.equal(shown.slice(0, 5), ["65534", "100", "77", "device", "boxed"]);
  assert.match(shown[5] ?? "", /docker-init/);
  assert.match(shown[6] ?? "", /size=8192k/);
});

suite.run();
