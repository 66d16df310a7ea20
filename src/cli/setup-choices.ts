/** `tandem setup` alone: what this machine could use, and what each would take. */
import { hasProviderFiles } from '../engine/onnxruntime/cuda-libraries.js';
import { openvinoLibrary } from '../engine/openvino/files.js';
import { isInstalled } from '../engine/tfjs/installed.js';
import { TandemError } from '../errors.js';
import { knownCards } from '../machine/cards/cards.js';
import type { NvidiaDriver } from '../machine/cards/nvidia.js';
import { cudaSource } from '../setup/cuda-wheels.js';
import { megabytes } from '../setup/link-tensorflow.js';
import { openvinoSource } from '../setup/openvino-wheels.js';
import { requireCard } from '../setup/set-up-cuda.js';
import { librarySource } from '../setup/tensorflow-wheels.js';
import { formatTable } from './table.js';

/** What the npm packages of a backend without a library take on disk, in bytes (Linux x64). */
const PACKAGES = { webgpu: 440e6, wasm: 300e6 } as const;

interface Choice {
  readonly name: string;
  readonly state: 'installed' | 'can be used' | 'not here';
  /** Bytes that it fetches, or that its packages take; `null` if nothing is published for this platform. */
  readonly bytes: number | null;
  readonly what: string;
}

function choices(driver: NvidiaDriver | null): Choice[] {
  const card = knownCards()[0]?.name ?? 'a card';
  const choice = (
    name: string,
    installed: boolean,
    usable: string | null,
    bytes: number | null,
    what: string,
  ): Choice => ({
    name,
    state: installed ? 'installed' : usable === null && bytes !== null ? 'can be used' : 'not here',
    bytes,
    what: usable === null ? what : `${what}: ${usable}`,
  });
  const noCard = knownCards().length === 0 ? 'no card is found' : null;
  const cpu = librarySource('cpu')?.downloadBytes ?? null;
  const gpu = librarySource('gpu')?.downloadBytes ?? null;
  return [
    choice('tensorflow', isInstalled('tensorflow'), null, cpu, 'TensorFlow.js models on the CPU'),
    choice(
      'tensorflow-gpu',
      isInstalled('tensorflow-gpu'),
      driver ? null : 'no NVIDIA driver',
      gpu,
      `TensorFlow.js models on ${card}`,
    ),
    choice('webgpu', isInstalled('webgpu'), noCard, PACKAGES.webgpu, `TensorFlow.js models on ${card}, of any maker`),
    choice('wasm', isInstalled('wasm'), null, PACKAGES.wasm, 'TensorFlow.js models on the CPU, one thread, no library'),
    choice(
      'cuda',
      hasProviderFiles(),
      whyNoCuda(driver),
      cudaSource()?.downloadBytes ?? null,
      `ONNX models on ${card}, by CUDA`,
    ),
    choice(
      'openvino',
      openvinoLibrary() !== null,
      null,
      openvinoSource()?.downloadBytes ?? null,
      "ONNX models on the CPU and on Intel's graphics, by OpenVINO",
    ),
  ];
}

function whyNoCuda(driver: NvidiaDriver | null): string | null {
  try {
    requireCard(driver);
    return null;
  } catch (error) {
    return error instanceof TandemError ? error.message.replace(/^[^:]*: /, '') : String(error);
  }
}

/** The table and how to go on. */
export function formatChoices(driver: NvidiaDriver | null): string {
  const rows = choices(driver).map(({ name, state, bytes, what }) => [
    name,
    state,
    bytes === null ? '' : megabytes(bytes),
    what,
  ]);
  const titles = [{ title: 'provider' }, { title: 'state' }, { title: 'size' }, { title: 'for' }];
  const built = 'ONNX models run on the CPU, and on a card of any maker by WebGPU, without any setup.';
  return [formatTable(titles, rows), '', built, 'To set one up: tandem setup PROVIDER'].join('\n');
}
