import type { GrantPlan, HttpPlan, MountSource } from "../../wasm-host/config.ts";
import type { HttpLimits } from "../../wasm-host/http/limits.ts";

/** A grant as people and programs are shown it: everything that a guest may do, with host paths in place of descriptors. */
export interface ExplainedGrant {
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly preopens: readonly ExplainedPreopen[];
  readonly stdio: readonly ("caller" | "nowhere" | "container")[];
  /** Listening sockets, by address or by where they come from. */
  readonly listeners: readonly string[];
  readonly network: GrantPlan["network"] | null;
  readonly clocks: GrantPlan["clocks"] | null;
  readonly random: GrantPlan["random"] | null;
  readonly limits: NonNullable<GrantPlan["limits"]>;
  /** Of an http component: where it is served, and what is not as usual. */
  readonly http: { readonly address: string; readonly limits: Partial<HttpLimits> } | null;
}

export interface ExplainedPreopen {
  readonly guestPath: string;
  /** A path of the host, or "tmpfs". */
  readonly source: string;
  readonly readonly: boolean;
  readonly mounts: readonly {
    readonly target: string;
    readonly source: string;
    readonly readonly: boolean;
  }[];
}

export interface ExplainOptions {
  readonly stdio: ExplainedGrant["stdio"];
  readonly listeners: readonly string[];
  readonly http: ExplainedGrant["http"];
}

export function explainGrant(plan: GrantPlan, { stdio, listeners, http }: ExplainOptions): ExplainedGrant {
  const { args, env, network = null, clocks = null, random = null, limits = {} } = plan;
  const preopens = plan.preopens.map(({ guestPath, source, readonly, mounts }) => ({
    guestPath,
    source: sourceText(source),
    readonly,
    mounts: mounts.map((mount) => ({
      target: mount.target,
      source: sourceText(mount.source),
      readonly: mount.readonly,
    })),
  }));
  return { args, env, preopens, stdio, listeners, network, clocks, random, limits, http };
}

/** For logs, whose readers are not the container's: of the environment the names. */
export function withoutValues({ env, ...grant }: ExplainedGrant): object {
  return { ...grant, env: env.map(([name]) => name) };
}

function sourceText(source: MountSource): string {
  return "bind" in source ? source.bind : ["tmpfs", ...source.tmpfs].join(" ");
}

/** Where an http component is served. */
export function httpAddress(http: HttpPlan): string {
  return "port" in http ? `*:${http.port}` : http.announce;
}

const NOTHING = "none";

/** Two columns: the part of the grant, and what it is. */
export function renderGrant(grant: ExplainedGrant): string {
  const rows: (readonly [string, readonly string[]])[] = [
    ["args", grant.args.map((arg) => JSON.stringify(arg))],
    ["env", grant.env.map(([name, value]) => `${name}=${JSON.stringify(value)}`)],
    ["preopens", grant.preopens.flatMap(renderPreopen)],
    ["stdio", ["stdin", "stdout", "stderr"].map((name, index) => `${name}: ${grant.stdio[index]}`)],
    ["listeners", grant.listeners],
    ["network out", grant.network?.outbound ?? []],
    ["network in", grant.network?.inbound ?? []],
    [
      "protocols",
      grant.network === null
        ? []
        : (grant.network?.protocols ?? ["tcp, udp, dns, http, where a rule names none"]),
    ],
    ["clocks", [grant.clocks === null ? "the machine's" : JSON.stringify(grant.clocks)]],
    ["random", [grant.random === null ? "the kernel's" : JSON.stringify(grant.random)]],
    ["limits", Object.entries(grant.limits).map(([name, value]) => `${name}: ${value}`)],
    ...(grant.http === null ? [] : [["http", renderHttp(grant.http)] as const]),
  ];
  return rows
    .flatMap(([name, values]) =>
      (values.length === 0 ? [NOTHING] : values).map(
        (value, index) => `${(index === 0 ? name : "").padEnd(12)} ${value}`,
      ),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function renderPreopen({ guestPath, source, readonly, mounts }: ExplainedPreopen): string[] {
  const own = `${guestPath} ← ${source} ${access(readonly)}`;
  return [own, ...mounts.map((mount) => `  ${mount.target} ← ${mount.source} ${access(mount.readonly)}`)];
}

function access(readonly: boolean): string {
  return readonly ? "(read-only)" : "(read and write)";
}

function renderHttp({ address, limits }: NonNullable<ExplainedGrant["http"]>): string[] {
  return [address, ...Object.entries(limits).map(([name, value]) => `${name}: ${value}`)];
}
