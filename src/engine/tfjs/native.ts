/** Opens TensorFlow for tfjs: one native package per process, on first use. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import util from 'node:util';
import { TandemError } from '../../errors.js';
import { processorName } from '../../machine/processor.js';
import { folderOf, PACKAGES, setupRemedy } from './installed.js';

export type Tfjs = typeof import('@tensorflow/tfjs-node');

type Provider = keyof typeof PACKAGES;

const require = createRequire(import.meta.url);

/** tfjs on the provider's native library. Throws TANDEM_ENGINE_MISSING, TANDEM_ENGINE_FAILED. */
export function openTfjs(provider: string): Tfjs {
  if (!(provider in PACKAGES)) {
    throw new TandemError('TANDEM_USAGE', `engine tfjs has no provider "${provider}"`, {
      remedy: `use provider=${Object.keys(PACKAGES).join(' or provider=')}`,
    });
  }
  refuseSecondPackage(provider as Provider);
  restoreUtil();
  const name = PACKAGES[provider as Provider];
  try {
    const tf: Tfjs = require(name);
    if (tf.getBackend() !== 'tensorflow') throw new Error(`tfjs computes with ${tf.getBackend()}, not with TensorFlow`);
    tf.enableProdMode();
    return tf;
  } catch (cause) {
    const why =
      folderOf(name) === null
        ? `TensorFlow.js models need ${name}, which is not installed`
        : `${name} cannot be used here: ${firstLine(cause)}`;
    throw new TandemError('TANDEM_ENGINE_MISSING', why, { remedy: setupRemedy(provider), cause });
  }
}

/**
 * The dynamic loader gives a second tfjs package the libtensorflow of the first: it would compute on the wrong device in silence.
 * The list of shared objects is of the process, so it includes those of other threads.
 */
function refuseSecondPackage(provider: Provider): void {
  const loaded = loadedPackage();
  if (loaded === undefined || loaded === PACKAGES[provider]) return;
  throw new TandemError(
    'TANDEM_ENGINE_FAILED',
    `this process computes with ${loaded} already; ${PACKAGES[provider]} would silently get its library and its device`,
    { remedy: 'give each of them a process of its own: --isolation process' },
  );
}

function loadedPackage(): string | undefined {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  for (const object of sharedObjects) {
    const name = /(@tensorflow[\\/]tfjs-node(?:-gpu)?)[\\/]lib[\\/].*tfjs_binding\.node$/.exec(object)?.[1];
    if (name) return name.replace('\\', '/');
  }
  return undefined;
}

/** tfjs-node 4.22 calls two functions that Node 23 removed and Node 22 deprecated (DEP0044, DEP0051): replaces them. */
export function restoreUtil(): void {
  const old = util as { isNullOrUndefined?: (value: unknown) => boolean; isArray?: (value: unknown) => boolean };
  old.isNullOrUndefined = (value) => value === null || value === undefined;
  old.isArray = Array.isArray;
}

/** The device on which TensorFlow really computes, by its own binding, and the device's name. */
export function deviceOf(tf: Tfjs): { ranOn: string; deviceName: string } {
  const { isUsingGpuDevice } = tf.backend() as unknown as { isUsingGpuDevice: boolean };
  return isUsingGpuDevice
    ? { ranOn: 'gpu', deviceName: gpuName() ?? 'a GPU that TensorFlow found' }
    : { ranOn: 'cpu', deviceName: processorName() };
}

/** By NVIDIA's driver (Linux); CUDA_VISIBLE_DEVICES is used if it is a plain index. */
function gpuName(): string | undefined {
  const root = '/proc/driver/nvidia/gpus';
  try {
    const cards = readdirSync(root).sort();
    const index = Number.parseInt(process.env.CUDA_VISIBLE_DEVICES ?? '0', 10) || 0;
    return /^Model:\s*(.+)$/m.exec(readFileSync(`${root}/${cards[index]}/information`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0]!.trim();
}
