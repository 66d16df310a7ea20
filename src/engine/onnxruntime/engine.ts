/** ONNX Runtime's entry: what it runs, with which providers, and what it takes to have them. */
import { join } from 'node:path';
import { knownCards } from '../../machine/cards/cards.js';
import type { CheckedMachine, EngineEntry, Problem, ProviderCheck, ProviderEntry } from '../entry.js';
import { fileStamp, packageBuild } from '../package-build.js';
import { orderCardsByBus } from './card-order.js';
import { hasProviderFiles, PROVIDER_FILES, providerFolder } from './cuda-libraries.js';
import { turnTelemetryOff } from './telemetry.js';

const NPM = 'npm install onnxruntime-node@1.30.0';
const VULKAN = 'install the driver of the card with Vulkan (libvulkan1)';
const CUDA = 'npx tandem setup cuda';

function cardCheck(name: string, install: string, applies: (machine: CheckedMachine) => boolean): ProviderCheck {
  return {
    label: `onnxruntime ${name}`,
    loss: (machine) => (applies(machine) ? 'note' : null),
    mend: (problem) => ({ remedy: remedyFor(problem, install) }),
  };
}

function remedyFor(problem: Problem, install: string): string {
  // A fault of the driver brings what to do.
  if (typeof problem === 'object' && problem.remedy) return problem.remedy;
  const noCard = typeof problem === 'object' && /finds no card/.test(problem.reason);
  return noCard || problem === 'on-cpu' ? VULKAN : install;
}

/** All providers are in one package, or in the same folder. */
const OF_PACKAGE = { isInstalled: () => true, build: () => packageBuild('onnxruntime-node') };

/** Another provider library computes otherwise, though the package is the same. */
function cudaBuild(): string {
  const folder = providerFolder();
  const stamps = folder === null ? [] : PROVIDER_FILES.map((file) => fileStamp(join(folder, file)));
  return `${packageBuild('onnxruntime-node')}, CUDA provider ${stamps.at(-1) ?? 'not installed'}`;
}

const PROVIDERS: readonly ProviderEntry[] = [
  {
    ...OF_PACKAGE,
    ...{ name: 'cpu', devices: ['cpu'] },
    check: { label: 'onnxruntime', loss: () => 'missing', mend: () => ({ remedy: NPM }) },
  },
  {
    ...{ name: 'cuda', devices: ['gpu'] },
    // If it is set up and has a card, it is preferred.
    isInstalled: () => hasProviderFiles() && knownCards().some((card) => card.cuda !== null),
    build: cudaBuild,
    check: cardCheck('cuda', CUDA, ({ hasNvidiaDriver, platform }) => hasNvidiaDriver && platform !== 'darwin'),
  },
  {
    ...OF_PACKAGE,
    ...{ name: 'webgpu', devices: ['gpu'] },
    // Two sessions on WebGPU in two threads now and then end the process: github.com/microsoft/onnxruntime/issues/32561
    onePerProcess: true,
    check: cardCheck('webgpu', VULKAN, () => true),
  },
  {
    ...OF_PACKAGE,
    ...{ name: 'coreml', devices: ['gpu'] },
    check: cardCheck('coreml', NPM, ({ platform }) => platform === 'darwin'),
  },
  {
    ...OF_PACKAGE,
    ...{ name: 'directml', devices: ['gpu'] },
    check: cardCheck('directml', NPM, ({ platform }) => platform === 'win32'),
  },
];

export const onnxruntimeEngine: EngineEntry = {
  id: 'onnxruntime',
  formats: ['onnx'],
  providers: PROVIDERS,
  open: async () => (await import('./onnxruntime.js')).onnxruntime,
  environment: () => ({}),
  // Its variables must be set before a worker loads the library, and engines of a user's own may load it too.
  prepareProcess: () => {
    turnTelemetryOff();
    orderCardsByBus();
  },
  startsAlone: false,
  prefersProcess: false,
  batchInvariant: true,
  forbiddenCuts: async (graph) => (await import('./forbidden-cuts.js')).forbiddenCuts(graph),
  probe: async (provider) => (await import('./probe.js')).probe(provider),
};
