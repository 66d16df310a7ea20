/** The entry of OpenVINO: ONNX models on CPUs and on Intel's graphics. Nothing of it is loaded before a stage uses it. */
import type { EngineEntry, ProviderCheck, ProviderEntry } from '../entry.js';
import { fileStamp } from '../package-build.js';
import { OPENVINO_VERSION, openvinoLibrary } from './files.js';
import { OPENVINO_PROVIDERS } from './providers.js';

const SETUP = 'npx tandem setup openvino';

/** A file of another size is another build, though the release is the same. */
function build(): string {
  const library = openvinoLibrary();
  return `OpenVINO ${OPENVINO_VERSION}, ${library === null ? 'not set up' : fileStamp(library)?.split('-')[0]}`;
}

const CHECK: ProviderCheck = {
  label: 'openvino',
  loss: ({ platform }) => (platform === 'linux' ? 'note' : null),
  packageFolder: openvinoLibrary,
  mend: (problem) => ({ ...(problem === 'not-installed' ? { found: 'not set up' } : {}), remedy: SETUP }),
};

const PROVIDERS: readonly ProviderEntry[] = Object.entries(OPENVINO_PROVIDERS).map(([name, { device }]) => ({
  name,
  devices: [device === 'CPU' ? 'cpu' : 'gpu'],
  // Intel's graphics and lower precisions are chosen by name only.
  isInstalled: () => name === 'openvino' && openvinoLibrary() !== null,
  build,
  ...(name === 'openvino' ? { check: CHECK } : {}),
}));

export const openvinoEngine: EngineEntry = {
  id: 'openvino',
  formats: ['onnx'],
  providers: PROVIDERS,
  open: async () => (await import('./openvino.js')).openvino,
  environment: () => ({}),
  startsAlone: false,
  // Its compiler may end the process, and files of weights are found from the working directory.
  prefersProcess: true,
  noRotation: 'it compiles a slice for the shapes of its warm-up, which a slice that is loaded again would not have',
  batchInvariant: true,
  forbiddenCuts: async (graph) => (await import('./refused-models.js')).forbiddenCuts(graph),
  probe: async (provider) => (await import('./probe.js')).probe(provider),
};
