import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";

/** Which criu: TANDEM_TEST_CRIU, or Debian's. */
export const criu = process.env["TANDEM_TEST_CRIU"] ?? "/usr/sbin/criu";

/**
 * Why checkpoints cannot be tested here; "" when they can. criu 3.17 gives up on kernels whose vDSO it does not know (6.13 and
 * later).
 */
export function whyNoCriu(): string {
  if (!existsSync(criu)) return `no ${criu}`;
  const options = { encoding: "utf8", timeout: 120_000, cwd: "/" } as const;
  const { status, stdout, stderr } = spawnSync(criu, ["check"], options);
  if (status === 0) return "";
  return `criu check: status ${status} ${stdout}${stderr}`.trim();
}

/** Counts, a line each tenth of a second, and says when it gets a signal. */
export const counter = "trap 'echo got it' USR1; i=0; while true; do echo $i; i=$((i+1)); sleep 0.1; done";

/** What the machine's administrator wants of criu is none of these tests' business. */
export const annotations = { "org.criu.config": "" };

/** What a counter has written to a file. */
export const numbers = (file: string): number[] =>
  (existsSync(file) ? readFileSync(file, "utf8") : "")
    .split("\n")
    .filter(Boolean)
    .filter((line) => /^\d+$/.test(line))
    .map(Number);

export async function waitForCount(file: string, most: number): Promise<void> {
  await waitFor(() => (numbers(file).at(-1) ?? -1) >= most, 15_000, `${most} in ${file}`);
}
