import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

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
