/** The providers of each engine on this machine: each is tried in a process of its own, and has one line in `tandem doctor`. */
import type { EngineName } from '../engine/engine.js';
import type { NvidiaDriver } from '../plan/nvidia.js';
import { TENSORFLOW_PACKAGES, tensorflowFolder } from '../setup/link-tensorflow.js';
import { type Probe, probeEngine } from '../setup/probe.js';
import type { Check } from './doctor.js';

interface Provider {
  readonly name: string;
  readonly engine: EngineName;
  readonly provider: string;
  readonly device: 'CPU' | 'GPU';
  /** Worth trying on this machine at all. */
  readonly applies: boolean;
  /** Stops nobody from working: another provider does the same. */
  readonly optional: boolean;
  readonly install: string;
}

const DAWN = '@tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-webgpu@4.22.0 webgpu@0.6.2';
const ORT = 'npm install onnxruntime-node@1.30.0';
const VULKAN = 'install the driver of the card with Vulkan (libvulkan1)';
const CUDA = 'ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js';

const platform = (name: NodeJS.Platform) => process.platform === name;
const onnxruntime = (provider: string, applies: boolean, install: string): Provider => ({
  ...{ name: `onnxruntime ${provider}`, engine: 'onnxruntime', provider, device: 'GPU' },
  ...{ applies, optional: true, install },
});

/** Those that need no linking; TensorFlow's own two have a check of their own. */
function plainProviders(driver: NvidiaDriver | null): Provider[] {
  return [
    { ...onnxruntime('cpu', true, ORT), name: 'onnxruntime', device: 'CPU', optional: false },
    onnxruntime('webgpu', true, VULKAN),
    onnxruntime('cuda', driver !== null && !platform('darwin'), CUDA),
    onnxruntime('coreml', platform('darwin'), ORT),
    onnxruntime('directml', platform('win32'), ORT),
    {
      ...{ name: 'tfjs webgpu', engine: 'tfjs', provider: 'webgpu', device: 'GPU', applies: true, optional: true },
      install: `npm install --ignore-scripts ${DAWN}`,
    },
    {
      ...{ name: 'tfjs wasm', engine: 'tfjs', provider: 'wasm', device: 'CPU', applies: true, optional: true },
      install: 'npm install --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0',
    },
  ];
}

/** One after the other, so that their memory is never held at once. */
export async function checkProviders(driver: NvidiaDriver | null): Promise<Check[]> {
  const checks: Check[] = [];
  for (const provider of plainProviders(driver)) if (provider.applies) checks.push(await checkPlain(provider));
  for (const kind of ['cpu', 'gpu'] as const) checks.push(await checkTensorflow(kind, driver));
  return checks;
}

async function checkPlain({ name, engine, provider, device, optional, install }: Provider): Promise<Check> {
  const probe = await probeEngine(engine, provider);
  if (!probe.works) {
    const remedy = /finds no card/.test(probe.reason) ? VULKAN : install;
    return { name, state: optional ? 'note' : 'missing', found: probe.reason, remedy };
  }
  const { facts, found } = told(probe);
  if (device === 'GPU' && probe.device === 'CPU') {
    const software = `${found}: runs with --allow-fallback only`;
    return { name, state: 'note', found: software, remedy: VULKAN, facts };
  }
  return { name, state: 'ok', found, facts };
}

function told({ version, device, deviceName }: Extract<Probe, { works: true }>) {
  return { found: `${version}, computes on ${deviceName}`, facts: { version, device, deviceName } };
}

/** A GPU package on a machine without a driver is no loss: then it is only noted. */
async function checkTensorflow(kind: 'cpu' | 'gpu', driver: NvidiaDriver | null): Promise<Check> {
  const name = kind === 'cpu' ? 'tensorflow' : 'tensorflow-gpu';
  const lost = kind === 'cpu' || driver !== null ? 'missing' : 'note';
  const setUp = `npx tandem setup ${name}`;
  const folder = tensorflowFolder(kind);
  if (folder === null) {
    const remedy = `npm install --ignore-scripts ${TENSORFLOW_PACKAGES[kind]}@4.22.0 && ${setUp}`;
    const found = `${TENSORFLOW_PACKAGES[kind]} is not installed`;
    return { name, state: lost, found, ...(lost === 'missing' && { remedy }) };
  }
  const probe = await probeEngine('tfjs', name, folder);
  if (!probe.works) {
    const found = probe.reason.includes('can not be found')
      ? 'installed, not linked to a TensorFlow library'
      : probe.reason;
    return { name, state: lost, found, ...(lost === 'missing' && { remedy: setUp }) };
  }
  const { facts, found } = told(probe);
  if (kind === 'gpu' && probe.device === 'CPU') {
    const remedy = driver ? { remedy: `${setUp} --force` } : {};
    return { name, state: lost, found: `${found}, not on a card: runs with --allow-fallback only`, ...remedy, facts };
  }
  return { name, state: 'ok', found, facts };
}
