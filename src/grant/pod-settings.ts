import { TandemError } from "../errors.ts";
import type { Setting } from "./setting.ts";
import { type SettingName, type SettingValues, settings } from "./settings.ts";

/** What the operator says of the grants of a runtime's containers: tables of the runtime options' TOML. */
export interface OperatorSettings {
  /** `[wasm.defaults]`: what a pod gets that says nothing; where there is none, no more than what is allowed. */
  readonly defaults: SettingValues;
  /** `[wasm.allowed]`: what a pod may ask for. */
  readonly allowed: SettingValues;
}

export const noSettings: OperatorSettings = { defaults: {}, allowed: {} };

export const ANNOTATION_PREFIX = "tandem.dev/";

/** Annotations with our prefix that say nothing of a grant. */
const others = new Set(["tandem.dev/executor"]);

/**
 * Reads the tables `defaults` and `allowed` of `[wasm]`.
 *
 * @param source names the file, for errors
 * @throws TandemError invalid_argument for a key or a value that is none
 */
export function readOperatorSettings(
  wasm: Readonly<Record<string, unknown>>,
  source: string,
): OperatorSettings {
  const { defaults = {}, allowed = {}, ...rest } = wasm;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw new TandemError("invalid_argument", `${source}: unknown table or key wasm.${unknown}`);
  const allowedValues = readTable(allowed, `${source}: wasm.allowed`);
  const pointless = Object.keys(allowedValues).find((name) => !settings[name as SettingName].guarded);
  if (pointless !== undefined)
    throw new TandemError("invalid_argument", `${source}: wasm.allowed.${pointless}: every pod may say that`);
  return { defaults: readTable(defaults, `${source}: wasm.defaults`), allowed: allowedValues };
}

function readTable(table: unknown, source: string): SettingValues {
  if (typeof table !== "object" || table === null || Array.isArray(table))
    throw new TandemError("invalid_argument", `${source}: is no table`);
  return readAll(
    Object.entries(table).map(([name, value]) => [name, toText(value, `${source}.${name}`)]),
    (name) => `${source}.${name}`,
  );
}

/** A list of TOML is what an annotation writes with commas. */
function toText(value: unknown, what: string): string {
  if (["string", "number", "bigint", "boolean"].includes(typeof value)) return String(value);
  if (Array.isArray(value) && value.every((one) => typeof one === "string"))
    return value.length === 0 ? "none" : value.join(",");
  throw new TandemError(
    "invalid_argument",
    `${what}: is neither text nor a number nor a boolean nor a list of texts`,
  );
}

function readAll(
  entries: readonly (readonly [string, string])[],
  place: (name: string) => string,
): SettingValues {
  return Object.fromEntries(
    entries.map(([name, text]) => {
      if (!isSetting(name))
        throw new TandemError("invalid_argument", `${place(name)}: no such setting of a grant`);
      if (text.trim() === "")
        throw new TandemError(
          "invalid_argument",
          `${place(name)}: is empty; a list with nothing in it is none, and what is not said is left out`,
        );
      return [name, settings[name].read(place(name), text)];
    }),
  );
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

/**
 * What a pod's annotations and its operator say together: the annotation where there is one and it is allowed, else the operator's
 * default, else the most that is allowed where everybody's usual is more. Of `env` both count: a variable has to pass each of the lists.
 *
 * @throws TandemError invalid_argument for an annotation that is none of ours, or has no meaning; permission_denied for one that wants
 * more than the operator allows
 */
export function mergeSettings(
  { defaults, allowed }: OperatorSettings,
  annotations: Readonly<Record<string, string>>,
): PodSettings {
  const wanted = readAnnotations(annotations);
  for (const name of Object.keys(wanted) as SettingName[])
    requirePermitted(name, { wanted, defaults, allowed });
  return {
    values: { ...ceilings(allowed), ...defaults, ...wanted },
    envLists: [defaults.env, wanted.env].filter((one) => one !== undefined),
  };
}

/** A limit holds for who says nothing, too. */
function ceilings(allowed: SettingValues): SettingValues {
  const entries = (Object.keys(allowed) as SettingName[]).flatMap((name) => {
    const setting: Setting<unknown> = settings[name] as Setting<unknown>;
    const most = setting.ceiling?.(allowed[name]);
    return most === undefined ? [] : [[name, most] as const];
  });
  return Object.fromEntries(entries);
}

export interface PodSettings {
  readonly values: SettingValues;
  /** Names, or beginnings with a `*` behind them. */
  readonly envLists: readonly (readonly string[])[];
}

function readAnnotations(annotations: Readonly<Record<string, string>>): SettingValues {
  const ours = Object.entries(annotations).filter(
    ([key]) => key.startsWith(ANNOTATION_PREFIX) && !others.has(key),
  );
  const entries = ours.map(([key, value]) => [key.slice(ANNOTATION_PREFIX.length), value] as const);
  return readAll(entries, (name) => `annotation ${ANNOTATION_PREFIX}${name}`);
}

interface Sources {
  readonly wanted: SettingValues;
  readonly defaults: SettingValues;
  readonly allowed: SettingValues;
}

function requirePermitted(name: SettingName, { wanted, defaults, allowed }: Sources): void {
  // One setting's reader, test and values have the same type, which the union of all does not show.
  const setting: Setting<unknown> = settings[name] as Setting<unknown>;
  const most = [allowed[name], defaults[name]].filter((one) => one !== undefined);
  if (setting.permits(wanted[name], most)) return;
  throw new TandemError(
    "permission_denied",
    `annotation ${ANNOTATION_PREFIX}${name}: ${JSON.stringify(wanted[name])} is more than the runtime's options allow (wasm.allowed.${name})`,
  );
}
