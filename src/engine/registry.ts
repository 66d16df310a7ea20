/** Which engine runs which format, with which provider on which device: one table, read by everything that must choose. */
import { TandemError } from '../errors.js';
import type { ModelFormat } from '../model/graph.js';
import type { Engine, EngineName } from './engine.js';
import { allocatorEnvironment } from './tfjs/allocator.js';
import { isInstalled } from './tfjs/installed.js';
import { oneDnnEnvironment } from './tfjs/one-dnn.js';

export interface Device {
  readonly kind: 'cpu' | 'gpu';
  /** Which card, where there are several. */
  readonly index: number;
}

interface EngineEntry {
  /** Loads the engine's code; native libraries wait for `load()`. */
  readonly open: () => Promise<Engine>;
  /** In the order of preference. */
  readonly providers: { readonly cpu: readonly string[]; readonly gpu: readonly string[] };
  /** Whether a provider may be taken where nobody asked for one: its library seems to be there. */
  readonly seemsThere: (provider: string) => boolean;
  /** What a person should know before a job starts with a provider, and what to type against it. */
  readonly cautions: Readonly<Record<string, string>>;
  /** Whether two workers of one process must not start at the same time. */
  readonly startsAlone: boolean;
  /** Providers of which a process can have only one worker. */
  readonly onePerProcess: readonly string[];
  /** Whether its stages are better off in processes of their own. */
  readonly prefersProcess: boolean;
  /** Environment variables that the engine reads once, when its native library is loaded into the process. */
  readonly environment: (threads: number, device: Device) => Record<string, string>;
}

export const ENGINES: Record<EngineName, EngineEntry> = {
  tfjs: {
    open: async () => (await import('./tfjs/tfjs.js')).tfjs,
    // WebGPU takes any maker's card; WebAssembly is the last resort, since it needs nothing and is slow.
    providers: { cpu: ['tensorflow', 'wasm'], gpu: ['tensorflow-gpu', 'webgpu'] },
    seemsThere: isInstalled,
    cautions: {
      wasm: 'WebAssembly has one thread and takes many times as long as TensorFlow; npx tandem setup tensorflow',
    },
    // The addon keeps a process-wide set of attribute names that it fills without a lock (binding/tfjs_backend.cc, ATTR_NAME_SET).
    startsAlone: true,
    onePerProcess: [],
    // Thread counts and the card are chosen by environment variables, and a native error ends the whole process.
    prefersProcess: true,
    environment: (threads, { kind, index }) => ({
      // A CPU stage must not take a share of the card's memory; a list that the user gave is the list that is counted in.
      CUDA_VISIBLE_DEVICES:
        kind === 'cpu' ? '' : (process.env.CUDA_VISIBLE_DEVICES?.split(',')[index] ?? String(index)),
      // The order in which nvidia-smi and `tandem doctor` list the cards; CUDA's own puts the fastest first.
      CUDA_DEVICE_ORDER: process.env.CUDA_DEVICE_ORDER ?? 'PCI_BUS_ID',
      ...allocatorEnvironment(),
      TF_NUM_INTRAOP_THREADS: String(threads),
      TF_NUM_INTEROP_THREADS: '1',
      TF_CPP_MIN_LOG_LEVEL: '2',
      ...oneDnnEnvironment(),
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    }),
  },
  onnxruntime: {
    open: async () => (await import('./onnxruntime/onnxruntime.js')).onnxruntime,
    providers: { cpu: ['cpu'], gpu: ['webgpu', 'cuda', 'coreml', 'directml'] },
    seemsThere: () => true,
    cautions: {},
    startsAlone: false,
    // Two sessions on WebGPU in two threads now and then end the process: github.com/microsoft/onnxruntime/issues/32561
    onePerProcess: ['webgpu'],
    prefersProcess: false,
    environment: () => ({}),
  },
  custom: {
    open: async () => (await import(process.env.TANDEM_ENGINE_MODULE ?? '')).engine,
    providers: { cpu: ['custom'], gpu: ['custom'] },
    seemsThere: () => true,
    cautions: {},
    startsAlone: false,
    onePerProcess: [],
    prefersProcess: false,
    environment: () => ({}),
  },
};

export function engineFor(format: ModelFormat): EngineName {
  return format === 'onnx' ? 'onnxruntime' : 'tfjs';
}

/** `gpu`, `gpu:1` and `cpu` are devices; anything else is a typing error. */
export function parseDevice(device: string): Device {
  const match = /^(cpu|gpu)(?::(\d{1,3}))?$/.exec(device);
  if (!match) {
    throw new TandemError('TANDEM_USAGE', `"${device}" is not a device`, {
      remedy: 'use cpu, gpu, or gpu:1 for the second card',
    });
  }
  return { kind: match[1] as 'cpu' | 'gpu', index: Number(match[2] ?? 0) };
}

export function isCpu(device: string): boolean {
  return parseDevice(device).kind === 'cpu';
}

/** The provider for a device: the asked-for one if the engine has it there, else the first that seems to be there. */
export function providerFor(engine: EngineName, device: string, asked?: string): string {
  const { kind } = parseDevice(device);
  const { providers, seemsThere } = ENGINES[engine];
  const offered = providers[kind];
  if (asked !== undefined && !offered.includes(asked)) {
    throw new TandemError('TANDEM_USAGE', `engine ${engine} has no provider "${asked}" for ${kind}`, {
      remedy: `use provider=${offered.join(' or provider=')}`,
    });
  }
  return asked ?? offered.find(seemsThere) ?? offered[0]!;
}
