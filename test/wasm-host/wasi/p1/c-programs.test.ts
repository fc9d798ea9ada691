import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compileC } from "./compile-c.ts";
import { Sandbox } from "./guest.ts";
import type { Run } from "./run-guest.ts";

const runner = fileURLToPath(new URL("run-guest.ts", import.meta.url));
const test = suite("wasi p1 with wasi-libc");

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  source: string,
  options: Omit<Run, "wasm"> & { readonly input?: string; readonly flags?: readonly string[] } = {},
): Outcome {
  const { input = "", flags, ...rest } = options;
  const request: Run = { wasm: compileC(source, flags), ...rest };
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--no-warnings", runner, JSON.stringify(request)],
    {
      input,
      encoding: "utf8",
      timeout: 30_000,
    },
  );
  return { status, stdout, stderr };
}

test("hello: arguments, environment, stdio and exit status", () => {
  const source = `#include <stdio.h>
    #include <stdlib.h>
    int main(int argc, char **argv) {
      char line[64];
      for (int i = 1; i < argc; i++) printf("arg %s\\n", argv[i]);
      printf("%s %s", getenv("NAME"), fgets(line, sizeof line, stdin));
      fprintf(stderr, "to stderr\\n");
      return 42;
    }`;
  const outcome = run(source, { args: ["a", "b c"], env: [["NAME", "value"]], input: "line\n" });
  assert.equal(outcome, { status: 42, stdout: "arg a\narg b c\nvalue line\n", stderr: "to stderr\n" });
});

test("a trap is a line with its cause, then the functions on the stack, and status 134", () => {
  const source = `__attribute__((noinline)) void inner(volatile int *p) { *p = 1; __builtin_trap(); }
    int main(void) { volatile int x; inner(&x); return x; }`;
  const outcome = run(source, { flags: ["-O0", "-g"] });
  assert.is(outcome.status, 134);
  assert.match(
    outcome.stderr,
    /^trap: unreachable\nwasm backtrace:\n {4}0: inner at .*:1:65 \(wasm-function/,
  );
  assert.not.match(outcome.stderr, "file://");
});

test("endless recursion is a trap of the guest, not a failure of the host", () => {
  const source = `__attribute__((noinline, optnone)) int f(int n) { return n + f(n + 1); }
    int main(int argc, char **argv) { return f(argc); }`;
  const outcome = run(source);
  assert.is(outcome.status, 134);
  assert.match(outcome.stderr, /^trap: (call stack exhausted|memory access out of bounds)\n/);
});

test("files through stdio and dirent", () => {
  using sandbox = new Sandbox();
  mkdirSync(join(sandbox.path, "etc"));
  writeFileSync(join(sandbox.path, "etc/in"), "from outside");
  const source = `#include <dirent.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/stat.h>
    #include <unistd.h>
    int main(void) {
      char text[32] = {0};
      FILE *in = fopen("/etc/in", "r");
      fread(text, 1, sizeof text - 1, in);
      fclose(in);
      mkdir("/data", 0777);
      FILE *out = fopen("/data/out", "w+");
      fprintf(out, "%s, copied", text);
      fclose(out);
      struct stat s;
      stat("/data/out", &s);
      int names = 0;
      DIR *d = opendir("/data");
      for (struct dirent *e; (e = readdir(d)) != 0;) names += strcmp(e->d_name, "out") == 0;
      closedir(d);
      int missing = open("/none", O_RDONLY) < 0 ? errno == ENOENT : 0;
      printf("%d %lld %d %d\\n", names, (long long)s.st_size, missing, isatty(1));
      return rename("/data/out", "/moved");
    }`;
  assert.equal(run(source, { root: sandbox.path }), { status: 0, stdout: "1 20 1 0\n", stderr: "" });
  assert.is(readFileSync(join(sandbox.path, "moved"), "utf8"), "from outside, copied");
});

test("sleeping blocks", () => {
  const source = `#include <stdio.h>
    #include <time.h>
    int main(void) {
      struct timespec a, b, t = {0, 30000000};
      clock_gettime(CLOCK_MONOTONIC, &a);
      nanosleep(&t, 0);
      clock_gettime(CLOCK_MONOTONIC, &b);
      long long waited = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
      return waited >= 30000000 ? 0 : 1;
    }`;
  assert.is(run(source).status, 0);
});

test("closing stderr leaves its number taken and the host silent", () => {
  using sandbox = new Sandbox();
  const source = `#include <fcntl.h>
    #include <unistd.h>
    int main(void) {
      close(2);
      int fd = open("/file", O_CREAT | O_RDWR, 0666);
      write(fd, "guest", 5);
      __builtin_trap();
    }`;
  assert.is(run(source, { root: sandbox.path }).status, 134);
  assert.is(readFileSync(join(sandbox.path, "file"), "utf8"), "guest");
});

test("output to a reader that has gone is EPIPE", () => {
  const source = `#include <errno.h>
    #include <unistd.h>
    int main(void) {
      for (int i = 0; i < 1000000; i++) if (write(1, "0123456789", 10) < 0) return errno == EPIPE ? 9 : 1;
      return 2;
    }`;
  const wasm = compileC(source);
  const script = `"$0" --no-warnings "$1" "$2" | true; echo "\${PIPESTATUS[0]}" >&2`;
  const request: Run = { wasm };
  const { stderr } = spawnSync("bash", ["-c", script, process.execPath, runner, JSON.stringify(request)], {
    encoding: "utf8",
    timeout: 30_000,
  });
  assert.is(stderr.trim(), "9");
});

test.run();
