/**
 * `linux.resources` of config.json (runtime-spec 1.3, config-linux.md "Control groups"), as types. Numbers are those of the
 * JSON; a limit near 2^63 is a double there too, which is exact for what the kernel prints as "no limit".
 */
export interface LinuxResources {
  readonly devices?: readonly DeviceRule[];
  readonly memory?: MemoryResources;
  readonly cpu?: CpuResources;
  readonly pids?: { readonly limit?: number };
  readonly blockIO?: BlockIoResources;
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[];
  readonly network?: NetworkResources;
  readonly rdma?: Readonly<Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>>;
  /** cgroup v2 file name ↦ what is written into it, as it is. */
  readonly unified?: Readonly<Record<string, string>>;
}

export interface DeviceRule {
  readonly allow: boolean;
  /** a: all, c: char, b: block; p and u are c. */
  readonly type?: string;
  /** Absent or negative: every one. */
  readonly major?: number;
  readonly minor?: number;
  /** Some of r, w, m (mknod); absent: all three. */
  readonly access?: string;
}

export interface MemoryResources {
  readonly limit?: number;
  readonly reservation?: number;
  /** Memory and swap together. */
  readonly swap?: number;
  readonly kernel?: number;
  readonly kernelTCP?: number;
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  readonly checkBeforeUpdate?: boolean;
}

export interface CpuResources {
  readonly shares?: number;
  readonly quota?: number;
  readonly burst?: number;
  readonly period?: number;
  readonly realtimeRuntime?: number;
  readonly realtimePeriod?: number;
  readonly cpus?: string;
  readonly mems?: string;
  readonly idle?: number;
}

export interface DeviceWeight {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number;
  readonly leafWeight?: number;
}

export interface DeviceRate {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface BlockIoResources {
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly DeviceWeight[];
  readonly throttleReadBpsDevice?: readonly DeviceRate[];
  readonly throttleWriteBpsDevice?: readonly DeviceRate[];
  readonly throttleReadIOPSDevice?: readonly DeviceRate[];
  readonly throttleWriteIOPSDevice?: readonly DeviceRate[];
}

export interface NetworkResources {
  readonly classID?: number;
  readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
}
