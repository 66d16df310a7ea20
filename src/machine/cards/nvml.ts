/** NVML, the library of NVIDIA's driver that reports its cards: called by koffi, without starting a program or loading CUDA. */
import { createRequire } from 'node:module';
import type { Capacity } from '../machine.js';
import type { Link } from './card.js';

const require = createRequire(import.meta.url);

type Call = (...args: unknown[]) => number;

/** A card, or a part of one that the driver has divided (MIG). */
export interface NvmlCard {
  readonly name: string;
  readonly uuid: string;
  readonly bus: string | null;
  readonly memory: Capacity | null;
  readonly computeCapability: string | null;
  readonly hasDisplay: boolean;
  /** The parts of a card that is in MIG mode, where programs can use only these; `null` for other cards. */
  readonly parts: readonly NvmlCard[] | null;
}

/** Return values of NVML (nvml.h, nvmlReturn_t). */
const SUCCESS = 0;
export const NVML_FAULTS = { noPermission: 4, driverNotLoaded: 9, gpuIsLost: 15, versionMismatch: 18 } as const;

/** NVML's value for a figure that the driver does not have (Windows with the WDDM driver model). */
const NOT_AVAILABLE = 0xffff_ffff_ffff_ffffn;

const DEVICE = 'uintptr_t device';
const SIGNATURES = {
  nvmlSystemGetDriverVersion: 'void *text, uint32_t length',
  nvmlDeviceGetCount_v2: 'void *count',
  nvmlDeviceGetHandleByIndex_v2: 'uint32_t index, void *device',
  nvmlDeviceGetName: `${DEVICE}, void *text, uint32_t length`,
  nvmlDeviceGetUUID: `${DEVICE}, void *text, uint32_t length`,
  nvmlDeviceGetPciInfo_v3: `${DEVICE}, void *pci`,
  nvmlDeviceGetMemoryInfo: `${DEVICE}, void *memory`,
  nvmlDeviceGetCudaComputeCapability: `${DEVICE}, void *major, void *minor`,
  nvmlDeviceGetDisplayActive: `${DEVICE}, void *active`,
  nvmlDeviceGetMigMode: `${DEVICE}, void *current, void *pending`,
  nvmlDeviceGetMaxMigDeviceCount: `${DEVICE}, void *count`,
  nvmlDeviceGetMigDeviceHandleByIndex: `${DEVICE}, uint32_t index, void *part`,
  nvmlDeviceGetComputeRunningProcesses_v3: `${DEVICE}, void *count, void *infos`,
  nvmlDeviceGetGraphicsRunningProcesses_v3: `${DEVICE}, void *count, void *infos`,
  nvmlDeviceGetCurrentClocksThrottleReasons: `${DEVICE}, void *reasons`,
  nvmlDeviceGetCurrPcieLinkWidth: `${DEVICE}, void *width`,
  nvmlDeviceGetMaxPcieLinkWidth: `${DEVICE}, void *width`,
  nvmlDeviceGetCurrPcieLinkGeneration: `${DEVICE}, void *generation`,
  nvmlDeviceGetEnforcedPowerLimit: `${DEVICE}, void *milliwatts`,
} as const;

type Name = keyof typeof SIGNATURES;

/** Opens the library and starts it: the code that it answers if it cannot start, `null` if there is no such library. */
export function openNvml(file = libraryFile()): Nvml | { readonly failed: number } | null {
  let library: ReturnType<typeof import('koffi')['load']>;
  try {
    library = (require('koffi') as typeof import('koffi')).load(file);
  } catch {
    return null;
  }
  const find = (name: string, signature: string): Call => {
    try {
      return library.func(`int ${name}(${signature})`);
    } catch {
      // An older driver has fewer functions.
      return () => -1;
    }
  };
  const failed = find('nvmlInit_v2', '')();
  if (failed !== SUCCESS) return { failed };
  return new Nvml(
    Object.fromEntries(Object.entries(SIGNATURES).map(([name, signature]) => [name, find(name, signature)])) as never,
  );
}

function libraryFile(): string {
  return process.platform === 'win32' ? 'nvml.dll' : 'libnvidia-ml.so.1';
}

export class Nvml {
  readonly #call: Readonly<Record<Name, Call>>;

  constructor(calls: Readonly<Record<Name, Call>>) {
    this.#call = calls;
  }

  /** `580.65.06`. */
  get driverVersion(): string {
    return this.#text('nvmlSystemGetDriverVersion') ?? '';
  }

  /** In the order of the PCI bus. Cards that do not answer (lost, or not allowed to this user) are left out. */
  cards(): NvmlCard[] {
    return this.#handles().map((device) => this.#card(device));
  }

  /** Bytes that each process holds on the card with this UUID, or on that part of a card; empty if the driver does not report it. */
  processes(uuid: string): Map<number, number> {
    const held = new Map<number, number>();
    const device = this.#find(uuid);
    if (device === null) return held;
    // A process that computes and draws is in both lists, with the same figure.
    for (const list of ['nvmlDeviceGetGraphicsRunningProcesses_v3', 'nvmlDeviceGetComputeRunningProcesses_v3'] as const)
      for (const [pid, bytes] of this.#processes(device, list)) held.set(pid, Math.max(held.get(pid) ?? 0, bytes));
    return held;
  }

  /** What is true of the card with this UUID, or of that part of a card, at this moment; `null` if there is none. */
  state(uuid: string): { readonly memory: Capacity | null; readonly throttle: bigint } | null {
    const device = this.#find(uuid);
    if (device === null) return null;
    const reasons = Buffer.alloc(8);
    const known = this.#call.nvmlDeviceGetCurrentClocksThrottleReasons(device, reasons) === SUCCESS;
    return { memory: this.#memory(device), throttle: known ? reasons.readBigUInt64LE() : 0n };
  }

  /** How it is connected and how many watts it may take; `null` for what the driver does not report. */
  link(uuid: string): Link | null {
    const device = this.#find(uuid);
    if (device === null) return null;
    const milliwatts = this.#number('nvmlDeviceGetEnforcedPowerLimit', device);
    return {
      lanes: this.#number('nvmlDeviceGetCurrPcieLinkWidth', device),
      mostLanes: this.#number('nvmlDeviceGetMaxPcieLinkWidth', device),
      speed: asGeneration(this.#number('nvmlDeviceGetCurrPcieLinkGeneration', device)),
      powerLimitWatts: milliwatts === null ? null : milliwatts / 1000,
    };
  }

  #handles(): bigint[] {
    const count = this.#number('nvmlDeviceGetCount_v2') ?? 0;
    const handles = Array.from({ length: count }, (_, n) => this.#handle('nvmlDeviceGetHandleByIndex_v2', n));
    return handles.filter((handle) => handle !== null);
  }

  #partsOf(device: bigint): bigint[] | null {
    const mode = [Buffer.alloc(4), Buffer.alloc(4)];
    if (this.#call.nvmlDeviceGetMigMode(device, ...mode) !== SUCCESS || mode[0]!.readUInt32LE() === 0) return null;
    const most = this.#number('nvmlDeviceGetMaxMigDeviceCount', device) ?? 0;
    const parts = Array.from({ length: most }, (_, n) =>
      this.#handle('nvmlDeviceGetMigDeviceHandleByIndex', device, n),
    );
    return parts.filter((part) => part !== null);
  }

  #find(uuid: string): bigint | null {
    const all = this.#handles().flatMap((device) => [device, ...(this.#partsOf(device) ?? [])]);
    return all.find((device) => this.#text('nvmlDeviceGetUUID', device) === uuid) ?? null;
  }

  #card(device: bigint, whole?: NvmlCard): NvmlCard {
    const card: NvmlCard = {
      name: this.#text('nvmlDeviceGetName', device) ?? 'NVIDIA card',
      uuid: this.#text('nvmlDeviceGetUUID', device) ?? '',
      bus: whole?.bus ?? this.#bus(device),
      memory: this.#memory(device),
      computeCapability: whole?.computeCapability ?? this.#computeCapability(device),
      hasDisplay: whole ? false : this.#number('nvmlDeviceGetDisplayActive', device) === 1,
      parts: null,
    };
    if (whole) return card;
    return { ...card, parts: this.#partsOf(device)?.map((part) => this.#card(part, card)) ?? null };
  }

  #bus(device: bigint): string | null {
    // char busIdLegacy[16]; five unsigned ints; char busId[32] (nvml.h, nvmlPciInfo_t): "00000000:01:00.0".
    const info = Buffer.alloc(128);
    if (this.#call.nvmlDeviceGetPciInfo_v3(device, info) !== SUCCESS) return null;
    const text = untilZero(info.subarray(36, 68)).toLowerCase();
    return text === '' ? null : text.replace(/^0000(?=[0-9a-f]{4}:)/, '');
  }

  #memory(device: bigint): Capacity | null {
    // unsigned long long total, free, used (nvml.h, nvmlMemory_t)
    const info = Buffer.alloc(24);
    if (this.#call.nvmlDeviceGetMemoryInfo(device, info) !== SUCCESS) return null;
    const total = Number(info.readBigUInt64LE(0));
    return total > 0 ? { total, free: Number(info.readBigUInt64LE(8)) } : null;
  }

  #computeCapability(device: bigint): string | null {
    const [major, minor] = [Buffer.alloc(4), Buffer.alloc(4)];
    if (this.#call.nvmlDeviceGetCudaComputeCapability(device, major, minor) !== SUCCESS) return null;
    return `${major.readInt32LE()}.${minor.readInt32LE()}`;
  }

  #processes(device: bigint, list: Name): [number, number][] {
    // unsigned int pid; unsigned long long usedGpuMemory; two unsigned ints (nvml.h, nvmlProcessInfo_v2_t): 24 bytes.
    const [bytes, most] = [24, 1024];
    const count = Buffer.alloc(4);
    count.writeUInt32LE(most);
    const infos = Buffer.alloc(bytes * most);
    if (this.#call[list](device, count, infos) !== SUCCESS) return [];
    return Array.from({ length: Math.min(most, count.readUInt32LE()) }, (_, n): [number, bigint] => [
      infos.readUInt32LE(bytes * n),
      infos.readBigUInt64LE(bytes * n + 8),
    ]).flatMap(([pid, held]) => (held === NOT_AVAILABLE ? [] : [[pid, Number(held)]]));
  }

  #handle(name: Name, ...args: unknown[]): bigint | null {
    const handle = Buffer.alloc(8);
    return this.#call[name](...args, handle) === SUCCESS ? handle.readBigUInt64LE() : null;
  }

  #number(name: Name, ...args: unknown[]): number | null {
    const value = Buffer.alloc(4);
    return this.#call[name](...args, value) === SUCCESS ? value.readUInt32LE() : null;
  }

  #text(name: Name, ...args: unknown[]): string | null {
    const text = Buffer.alloc(96);
    return this.#call[name](...args, text, text.length) === SUCCESS ? untilZero(text) : null;
  }
}

function asGeneration(generation: number | null): string | null {
  return generation === null ? null : `PCIe ${generation}`;
}

function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
