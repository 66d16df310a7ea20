/** The entry of tfjs: its formats, providers, and how to install them. */
import { join } from 'node:path';
import { knownCard } from '../../machine/cards/cards.js';
import { visibleCardsVariable } from '../../machine/cards/nvidia.js';
import type { CheckedMachine, EngineEntry, Problem, ProviderCheck, ProviderEntry } from '../entry.js';
import { fileStamp, packageBuild, packageFolder } from '../package-build.js';
import { allocatorEnvironment } from './allocator.js';
import { folderOf, isInstalled, PACKAGES } from './installed.js';
import { oneDnnEnvironment, oneDnnMark } from './one-dnn.js';

const VULKAN = 'install the driver of the card with Vulkan (libvulkan1)';

type Native = keyof typeof PACKAGES;

/** One of TensorFlow's two packages, which are installed and then linked to a library. */
function tensorflow(name: Native, loss: (machine: CheckedMachine) => 'missing' | 'note'): ProviderEntry {
  const setUp = `npx tandem setup ${name}`;
  const remedy = (problem: Problem, { hasNvidiaDriver }: CheckedMachine): string | undefined => {
    if (problem === 'on-cpu') return hasNvidiaDriver ? `${setUp} --force` : undefined;
    return setUp;
  };
  return {
    name,
    devices: [name === 'tensorflow' ? 'cpu' : 'gpu'],
    isInstalled: () => isInstalled(name),
    build: () => nativeBuild(PACKAGES[name]),
    check: {
      label: name,
      loss,
      packageFolder: () => folderOf(PACKAGES[name]),
      mend: (problem, machine) => ({
        ...inWords(problem, PACKAGES[name]),
        // A card's package on a machine without a driver is no loss.
        remedy: loss(machine) === 'missing' ? remedy(problem, machine) : undefined,
      }),
    },
  };
}

function inWords(problem: Problem, packageName: string): { found?: string } {
  if (problem === 'not-installed') return { found: `${packageName} is not installed` };
  const notLinked = typeof problem === 'object' && problem.reason.includes('can not be found');
  return notLinked ? { found: 'installed, not linked to a TensorFlow library' } : {};
}

function nativeBuild(name: string): string {
  const folder = packageFolder(name);
  const library = folder && fileStamp(join(folder, 'deps/lib/libtensorflow_cc.so.2'));
  return library ? `${packageBuild(name)}, libtensorflow ${library}${oneDnnMark()}` : packageBuild(name);
}

function backendCheck(name: string): ProviderCheck {
  const noCard = (problem: Problem) => typeof problem === 'object' && /finds no card/.test(problem.reason);
  return {
    label: `tfjs ${name}`,
    loss: () => 'note',
    mend: (problem) => ({ remedy: problem === 'on-cpu' || noCard(problem) ? VULKAN : `npx tandem setup ${name}` }),
  };
}

const PROVIDERS: readonly ProviderEntry[] = [
  tensorflow('tensorflow', () => 'missing'),
  tensorflow('tensorflow-gpu', ({ hasNvidiaDriver }) => (hasNvidiaDriver ? 'missing' : 'note')),
  // WebGPU takes any maker's card.
  {
    ...{ name: 'webgpu', devices: ['gpu'] },
    isInstalled: () => isInstalled('webgpu'),
    build: () => packageBuild('@tensorflow/tfjs-backend-webgpu'),
    check: backendCheck('webgpu'),
  },
  // WebAssembly is the last resort, since it needs nothing and is slow.
  {
    ...{ name: 'wasm', devices: ['cpu'] },
    isInstalled: () => isInstalled('wasm'),
    build: () => packageBuild('@tensorflow/tfjs-backend-wasm'),
    caution: 'WebAssembly has one thread and takes many times as long as TensorFlow; npx tandem setup tensorflow',
    check: backendCheck('wasm'),
  },
];

/** Bytes that CUDA, cuBLAS and cuDNN take on the card besides TensorFlow's tensors: an estimate, of which half the budget is the most. */
const CUDA_CONTEXT = 512 * 2 ** 20;

/** MiB of tensors that TensorFlow may hold for the stage to keep its budget. */
function tensorsWithin(memory: number): number {
  return Math.max(1, Math.floor(Math.max(memory / 2, memory - CUDA_CONTEXT) / 2 ** 20));
}

/** What CUDA_VISIBLE_DEVICES must be for one card; that of another maker is none of CUDA's. */
function visibleAs(index: number): string {
  const card = knownCard(index);
  if (card) return card.cuda?.visibleAs ?? '';
  return process.env.CUDA_VISIBLE_DEVICES?.split(',')[index] ?? String(index);
}

export const tfjsEngine: EngineEntry = {
  id: 'tfjs',
  formats: ['layers-model', 'graph-model'],
  providers: PROVIDERS,
  open: async () => (await import('./tfjs.js')).tfjs,
  environment: (threads, { kind, index }, memory) => ({
    // A CPU stage must not take a share of the card's memory; a list that the user gave is the list that is counted in.
    CUDA_VISIBLE_DEVICES: kind === 'cpu' ? '' : visibleAs(index),
    ...visibleCardsVariable(),
    // The order in which nvidia-smi and `tandem doctor` list the cards; CUDA's own puts the fastest first.
    CUDA_DEVICE_ORDER: process.env.CUDA_DEVICE_ORDER ?? 'PCI_BUS_ID',
    ...allocatorEnvironment(),
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: '1',
    TF_CPP_MIN_LOG_LEVEL: '2',
    ...oneDnnEnvironment(),
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    ...(kind === 'gpu' && memory !== undefined ? { TF_PER_DEVICE_MEMORY_LIMIT_MB: String(tensorsWithin(memory)) } : {}),
  }),
  // The addon keeps a process-wide set of attribute names that it fills without a lock (binding/tfjs_backend.cc, ATTR_NAME_SET).
  startsAlone: true,
  // Thread counts and the card are chosen by environment variables, and a native error ends the whole process.
  prefersProcess: true,
  batchInvariant: true,
  // It computes op by op.
  forbiddenCuts: async () => new Set(),
  probe: async (provider, folder) => (await import('./probe.js')).probe(provider, folder),
};
