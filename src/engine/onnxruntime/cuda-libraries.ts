/** The files of ONNX Runtime's CUDA provider: where they are, and which of the libraries that it is linked with is missing. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { cacheFolder } from '../../machine/cache-folder.js';
import { packageFolder } from '../package-build.js';

/** Folder in the user's cache in which `tandem setup cuda` puts the provider and CUDA. */
export const CUDA_FOLDER = 'onnxruntime-cuda-1.30.0';

const SHARED = 'libonnxruntime_providers_shared.so';
export const PROVIDER_FILES = [SHARED, 'libonnxruntime_providers_cuda.so'] as const;

/** What the provider of version 1.30.0 is linked with, then what it opens by name for convolutions and Fourier transforms. */
const NEEDED = ['libcuda.so.1', 'libcudart.so.13', 'libcublasLt.so.13', 'libcublas.so.13', 'libcurand.so.10'];
const OPENED = ['libcudnn.so.9', 'libcufft.so.12'];

/** The folder of onnxruntime-node's own library, in which it looks for providers; `null` where there is none for CUDA. */
export function providerFolder(): string | null {
  const folder = packageFolder('onnxruntime-node');
  if (!folder || process.platform !== 'linux' || process.arch !== 'x64') return null;
  return join(folder, 'bin', 'napi-v6', 'linux', 'x64');
}

/** Whether the provider's own files are there; CUDA itself may be missing. */
export function hasProviderFiles(): boolean {
  const folder = providerFolder();
  return folder !== null && PROVIDER_FILES.every((file) => existsSync(join(folder, file)));
}

/** What is opened of the cache. The parts of cuDNN lie beside it, where it finds them by itself. */
const OF_CACHE = /^lib(cudart|nvJitLink|nvrtc|cublasLt|cublas|curand|cufft|cudnn)\.so\.\d+$/;

const require = createRequire(import.meta.url);

let opened = false;

/**
 * Opens what `tandem setup cuda` has fetched by its full path. The dynamic loader then takes these for the provider, which asks for them by
 * their bare names, so that LD_LIBRARY_PATH need not be set. A library that is elsewhere on the loader's path does as well.
 */
export function openCudaLibraries(cache = cacheFolder()): void {
  if (opened) return;
  opened = true;
  const koffi = require('koffi') as typeof import('koffi');
  let waiting = librariesIn(join(cache, CUDA_FOLDER, 'nvidia'));
  // One may need another: those that do not open yet are tried again after the others.
  for (let before = -1; waiting.length !== before; ) {
    before = waiting.length;
    waiting = waiting.filter((file) => opens(koffi, file) !== true);
  }
}

function librariesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => OF_CACHE.test(basename(name))).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function opens(koffi: typeof import('koffi'), file: string): string | true {
  try {
    koffi.load(file, { lazy: true });
    return true;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The file of the first library that the provider needs and that cannot be opened; `null` if all can. `convolutions`: also what these need. */
export function missingCudaLibrary({ convolutions = true } = {}): string | null {
  const folder = providerFolder();
  if (folder === null) return null;
  const absent = PROVIDER_FILES.find((file) => !existsSync(join(folder, file)));
  if (absent) return absent;
  const koffi = require('koffi') as typeof import('koffi');
  for (const file of [...NEEDED, ...(convolutions ? OPENED : [])]) {
    const answer = opens(koffi, file);
    // A library may be there and need one that is not: the loader names that one.
    if (answer !== true) return /(lib[\w.+-]+\.so[\d.]*): cannot open/.exec(answer)?.[1] ?? file;
  }
  return null;
}
