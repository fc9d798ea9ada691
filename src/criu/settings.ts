import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { CgroupMode } from "../api/gen/criu/rpc_pb.ts";
import type { Spec } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";

/** What the user asks of both directions. */
export interface CriuSettings {
  /** Directory of the images. */
  readonly imagePath: string;
  /** Directory of the log and of other working files; the images' unless given. */
  readonly workPath: string | undefined;
  readonly tcpEstablished: boolean;
  readonly externalUnixSockets: boolean;
  readonly shellJob: boolean;
  readonly fileLocks: boolean;
  readonly autoDedup: boolean;
  readonly lazyPages: boolean;
  /** soft, full, strict or ignore; "" for criu's default. */
  readonly cgroupsMode: string;
}

const cgroupModes: Readonly<Record<string, CgroupMode>> = {
  "": CgroupMode.DEFAULT,
  soft: CgroupMode.SOFT,
  full: CgroupMode.FULL,
  strict: CgroupMode.STRICT,
  ignore: CgroupMode.IGNORE,
};

/** Network devices are the engine's to make and to configure, not the runtime's and not criu's. */
const CLONE_NEWNET = 0x40000000;

/** criu's own configuration for containers: the annotation's file, or what users of runc have already. criu overlooks a missing one. */
const CONFIG_ANNOTATION = "org.criu.config";
const USUAL_CONFIG = "/etc/criu/runc.conf";

function configFile({ annotations = {} }: Spec): { configFile?: string } {
  const given = annotations[CONFIG_ANNOTATION] ?? USUAL_CONFIG;
  return given === "" ? {} : { configFile: given };
}

/** The options that both directions have in common. @throws TandemError invalid_argument */
export function commonOptions(settings: CriuSettings, spec: Spec) {
  const manageCgroupsMode = cgroupModes[settings.cgroupsMode];
  if (manageCgroupsMode === undefined)
    throw new TandemError(
      "invalid_argument",
      `cgroups mode ${settings.cgroupsMode}: is soft, full, strict or ignore`,
    );
  return {
    logLevel: 4,
    notifyScripts: true,
    manageCgroups: true,
    manageCgroupsMode,
    shellJob: settings.shellJob,
    extUnixSk: settings.externalUnixSockets,
    tcpEstablished: settings.tcpEstablished,
    fileLocks: settings.fileLocks,
    autoDedup: settings.autoDedup,
    lazyPages: settings.lazyPages,
    emptyNs: CLONE_NEWNET,
    orphanPtsMaster: true,
    ...configFile(spec),
  };
}

/** The directories that criu takes by descriptor, out of /proc of whoever made its socket. */
export interface CriuDirectories {
  readonly images: number;
  readonly work: number | undefined;
  /** Path of a log in the working directory. */
  log(name: string): string;
  close(): void;
}

/** Opens them, and makes them first where they may be missing. @throws TandemError naming the path */
export function openDirectories(
  { imagePath, workPath }: Pick<CriuSettings, "imagePath" | "workPath">,
  make: boolean,
): CriuDirectories {
  const images = openDirectory(imagePath, make);
  let work: number | undefined;
  try {
    work = workPath === undefined ? undefined : openDirectory(workPath, true);
  } catch (error) {
    closeSync(images);
    throw error;
  }
  return {
    images,
    work,
    log: (name) => join(workPath ?? imagePath, name),
    close: () => {
      closeSync(images);
      if (work !== undefined) closeSync(work);
    },
  };
}

function openDirectory(path: string, make: boolean): number {
  try {
    if (make) mkdirSync(path, { recursive: true, mode: 0o700 });
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw TandemError.from(error, "checkpoint directory");
  }
}
