import { type ErrorCode, TandemError } from "../../errors.ts";
import type { BusAddress } from "./dbus/addresses.ts";
import { Bus } from "./dbus/bus.ts";
import type { DbusValue, Variant } from "./dbus/marshal.ts";
import type { Message } from "./dbus/message.ts";

/** A unit's property, org.freedesktop.systemd1(5). */
export type UnitProperty = readonly [name: string, value: Variant];

const destination = "org.freedesktop.systemd1";
const path = "/org/freedesktop/systemd1";
const managerInterface = `${destination}.Manager`;
const properties = "org.freedesktop.DBus.Properties";

/** What a job may take; systemd's own clients wait as long. */
const TIMEOUT_MS = 30_000;

const codes: Readonly<Record<string, ErrorCode>> = {
  "org.freedesktop.systemd1.UnitExists": "already_exists",
  "org.freedesktop.systemd1.NoSuchUnit": "not_found",
  "org.freedesktop.DBus.Error.AccessDenied": "permission_denied",
  "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired": "permission_denied",
  "org.freedesktop.DBus.Error.InvalidArgs": "invalid_argument",
  "org.freedesktop.DBus.Error.PropertyReadOnly": "invalid_argument",
};

/** A connection to systemd's manager, for as long as one task takes. */
export class Manager {
  readonly #bus: Bus;
  readonly #jobs: Map<string, string>;
  readonly #waiting: Map<string, (result: string) => void>;

  private constructor(bus: Bus, jobs: Map<string, string>, waiting: Map<string, (result: string) => void>) {
    this.#bus = bus;
    this.#jobs = jobs;
    this.#waiting = waiting;
  }

  /** Connects, lets `task` work and closes. @throws TandemError failed_precondition when nobody is there */
  static async use<T>(addresses: readonly BusAddress[], task: (manager: Manager) => Promise<T>): Promise<T> {
    const jobs = new Map<string, string>();
    const waiting = new Map<string, (result: string) => void>();
    const bus = await Bus.connect(addresses, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      onSignal: (signal) => {
        const end = jobRemoved(signal);
        if (end === undefined) return;
        jobs.set(end.job, end.result);
        waiting.get(end.job)?.(end.result);
      },
    });
    try {
      return await task(new Manager(bus, jobs, waiting));
    } finally {
      bus.close();
    }
  }

  /** Makes a transient unit and waits until it is active. @throws TandemError already_exists */
  async startTransient(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    const variants = properties.map(([name, value]) => [name, value] as const);
    await this.#job(unit, "StartTransientUnit", "ssa(sv)a(sa(sv))", [unit, "replace", variants, []]);
  }

  /** Changes properties until the next boot or the unit's end. */
  async setProperties(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    await this.#call("SetUnitProperties", "sba(sv)", [unit, true, properties]);
  }

  /** Moves a process into a unit. */
  async attach(unit: string, pid: number): Promise<void> {
    await this.#call("AttachProcessesToUnit", "ssau", [unit, "", [pid]]);
  }

  /** Stops a unit and forgets that it failed, if it did. One that is gone is no error. */
  async stop(unit: string): Promise<void> {
    await ifThere(this.#job(unit, "StopUnit", "ss", [unit, "replace"]));
    await ifThere(this.reset(unit));
  }

  async reset(unit: string): Promise<void> {
    await this.#call("ResetFailedUnit", "s", [unit]);
  }

  /** systemd's version, 252 for "252.39-1~deb12u2". */
  async version(): Promise<number> {
    const body = [managerInterface, "Version"];
    const [value] = await this.#call("Get", "ss", body, { interface: properties });
    return Number.parseInt(String((value as Variant).value).replace(/^\D+/, ""), 10);
  }

  /** Where a unit's cgroup is in the hierarchies, "/…"; undefined when there is no such unit. */
  async controlGroup(unit: string): Promise<string | undefined> {
    let object: string;
    try {
      const [found] = await this.#call("GetUnit", "s", [unit]);
      object = String(found);
    } catch (error) {
      if (error instanceof TandemError && error.code === "not_found") return undefined;
      throw error;
    }
    const body = [`${destination}.Scope`, "ControlGroup"];
    const [value] = await this.#call("Get", "ss", body, { interface: properties, path: object });
    const group = String((value as Variant).value);
    return group === "" ? undefined : group;
  }

  async #job(unit: string, member: string, signature: string, body: readonly DbusValue[]): Promise<void> {
    await this.#subscribe();
    const [job] = await this.#call(member, signature, body);
    const result = await this.#end(String(job));
    if (result !== "done")
      throw new TandemError("failed_precondition", `systemd: ${member} of ${unit} ended as ${result}`);
  }

  /** The signal may have come before the reply was read. */
  #end(job: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const known = this.#jobs.get(job);
    if (known === undefined) this.#waiting.set(job, resolve);
    else resolve(known);
    return Promise.race([promise, this.#bus.failed]);
  }

  /** A direct connection gets every signal, and knows neither of the two calls. */
  async #subscribe(): Promise<void> {
    const bus = "org.freedesktop.DBus";
    const rule = `type='signal',sender='${destination}',interface='${managerInterface}',member='JobRemoved'`;
    const match = { destination: bus, path: "/org/freedesktop/DBus", interface: bus, member: "AddMatch" };
    // Read in the order of writing: when the job is queued, both have been done.
    await Promise.all([
      this.#bus.call({ ...match, signature: "s", body: [rule] }),
      this.#bus.call({ destination, path, interface: managerInterface, member: "Subscribe" }),
    ]);
  }

  async #call(
    member: string,
    signature: string,
    body: readonly DbusValue[],
    target: { readonly interface?: string; readonly path?: string } = {},
  ): Promise<readonly DbusValue[]> {
    const answer = await this.#bus.call({
      destination,
      path,
      interface: managerInterface,
      ...target,
      member,
      signature,
      body,
    });
    if ("values" in answer) return answer.values;
    const { error, text } = answer;
    throw new TandemError(codes[error] ?? "failed_precondition", `systemd: ${member}: ${text} (${error})`);
  }
}

function jobRemoved(signal: Message): { readonly job: string; readonly result: string } | undefined {
  if (signal.member !== "JobRemoved" || signal.interface !== managerInterface) return undefined;
  const [, job, , result] = signal.body;
  return { job: String(job), result: String(result) };
}

async function ifThere(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof TandemError && error.code === "not_found")) throw error;
  }
}
