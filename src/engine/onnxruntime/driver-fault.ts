/** Recognises faults of CUDA, cuBLAS, cuDNN and WebGPU in ONNX Runtime's errors: the driver, the card, its memory or a missing library is named, not the model or the rows. */
import { type ErrorCode, TandemError } from '../../errors.js';

interface Fault {
  readonly code: ErrorCode;
  readonly what: string;
  readonly remedy: string;
}

const OUT_OF_MEMORY: Fault = {
  code: 'TANDEM_OUT_OF_MEMORY',
  what: 'the card has no memory left',
  remedy: 'use a smaller --micro-batch, fewer layers on the card, or end what else uses it',
};
const OLD_DRIVER: Fault = {
  code: 'TANDEM_DEVICE_MISSING',
  what: "the NVIDIA driver is too old for ONNX Runtime's CUDA 13",
  remedy: 'update the driver to 580 or newer, or use provider=webgpu',
};
const MIXED_DRIVER: Fault = {
  code: 'TANDEM_DEVICE_MISSING',
  what: 'the NVIDIA driver and its CUDA library do not fit together',
  remedy: 'restart the machine after an update of the driver; in a container: update the NVIDIA container toolkit',
};
const NO_CARD: Fault = {
  code: 'TANDEM_DEVICE_MISSING',
  what: 'CUDA finds no NVIDIA card',
  remedy: 'tandem doctor lists the cards; in a container: docker run --gpus all …; or use provider=webgpu',
};
const NO_SUCH_CARD: Fault = {
  code: 'TANDEM_DEVICE_MISSING',
  what: 'CUDA has no card with this number',
  remedy: 'tandem doctor lists the cards by number; CUDA_VISIBLE_DEVICES may hide some',
};
const OLD_CARD: Fault = {
  code: 'TANDEM_DEVICE_MISSING',
  what: "ONNX Runtime's CUDA provider has no code for this card: it needs compute capability 7.5 or more",
  remedy: 'use provider=webgpu, which runs on older cards',
};
const TAKEN_CARD: Fault = {
  code: 'TANDEM_DEVICE_MISSING',
  what: 'the card is in exclusive use by another process',
  remedy: 'end that process (nvidia-smi lists it), or: nvidia-smi -c DEFAULT',
};
const FAILED_CARD: Fault = {
  code: 'TANDEM_STAGE_LOST',
  what: 'the card has stopped working for this process; no row is blamed',
  remedy: 'run the same command again, which resumes the job; if it happens again, see the Xid lines of dmesg',
};

/** A number that says neither what is wrong with the card nor that the model is at fault. */
const OTHER_FAULT: Fault = {
  code: 'TANDEM_ENGINE_FAILED',
  what: 'CUDA failed',
  remedy: 'tandem doctor tries the provider; or use provider=webgpu',
};

/** cudaError_t (driver_types.h of CUDA 13). */
const CUDA: Record<number, Fault> = {
  2: OUT_OF_MEMORY,
  3: NO_CARD,
  35: OLD_DRIVER,
  46: TAKEN_CARD,
  100: NO_CARD,
  101: NO_SUCH_CARD,
  209: OLD_CARD,
  214: FAILED_CARD,
  222: OLD_DRIVER,
  700: FAILED_CARD,
  710: FAILED_CARD,
  714: FAILED_CARD,
  716: FAILED_CARD,
  717: FAILED_CARD,
  718: FAILED_CARD,
  719: FAILED_CARD,
  803: MIXED_DRIVER,
  804: OLD_DRIVER,
  999: FAILED_CARD,
};

/** The names, where CUDA reports no number. */
const CUDA_NAMES: Record<string, number> = {
  cudaErrorMemoryAllocation: 2,
  cudaErrorInsufficientDriver: 35,
  cudaErrorDevicesUnavailable: 46,
  cudaErrorNoDevice: 100,
  cudaErrorInvalidDevice: 101,
  cudaErrorNoKernelImageForDevice: 209,
  cudaErrorUnsupportedPtxVersion: 222,
  cudaErrorIllegalAddress: 700,
  cudaErrorLaunchFailure: 719,
  cudaErrorSystemDriverMismatch: 803,
};

/** cublasStatus_t. A handle that cannot be made has, on a working card, no memory for its workspace. */
const CUBLAS: Record<number, Fault> = {
  1: OUT_OF_MEMORY,
  3: OUT_OF_MEMORY,
  8: OLD_CARD,
  11: FAILED_CARD,
  13: FAILED_CARD,
  14: FAILED_CARD,
};

const CUDNN_MEMORY = /CUDNN_STATUS_(ALLOC_FAILED|INTERNAL_ERROR_(DEVICE|HOST)_ALLOCATION_FAILED)/;
const CUDNN_MISSING = /cuDNN is unavailable|dlopen failed for (libcudnn\S*):/;

/** WebGPU reports a buffer that it could not make when it is used, and a download from it as failed. */
const WEBGPU_MEMORY = /Invalid (?:Buffer|CommandBuffer)|Failed to download data|OUT_OF_DEVICE_MEMORY|out of memory/i;
const WEBGPU_LOST = /device (?:is|was|has been) lost|DeviceLost|VK_ERROR_DEVICE_LOST/i;

/** The fault of a card or its driver in ONNX Runtime's words; `null` if they report none. */
export function driverFault(words: string, provider: string, cause?: unknown): TandemError | null {
  const fault = faultIn(words, provider);
  if (!fault) return null;
  return new TandemError(fault.code, `${fault.what} (${shortened(words)})`, { remedy: fault.remedy, cause });
}

function faultIn(words: string, provider: string): Fault | null {
  if (provider === 'webgpu') {
    if (WEBGPU_LOST.test(words)) return FAILED_CARD;
    return WEBGPU_MEMORY.test(words) ? OUT_OF_MEMORY : null;
  }
  if (provider !== 'cuda') return null;
  if (CUDNN_MISSING.test(words)) return missingLibrary('libcudnn.so.9');
  if (CUDNN_MEMORY.test(words)) return OUT_OF_MEMORY;
  const number = Number(/CUDA failure (\d+)/.exec(words)?.[1] ?? CUDA_NAMES[/\bcudaError\w+/.exec(words)?.[0] ?? '']);
  const cublas = Number(/CUBLAS(?:LT)? failure (\d+)/i.exec(words)?.[1]);
  const known = CUDA[number] ?? CUBLAS[cublas] ?? (/CUBLAS_STATUS_ALLOC_FAILED/.test(words) ? OUT_OF_MEMORY : null);
  return known ?? (number > 0 || cublas > 0 ? OTHER_FAULT : null);
}

/** A library that CUDA needs, by the name of its file. */
export function missingLibrary(file: string): Fault {
  const ofDriver = /^libcuda\.so/.test(file);
  return {
    code: ofDriver ? 'TANDEM_DEVICE_MISSING' : 'TANDEM_ENGINE_MISSING',
    what: `${ofDriver ? "the NVIDIA driver's library" : 'the CUDA library'} ${file} is not here`,
    remedy: ofDriver
      ? 'install the NVIDIA driver, 580 or newer; in a container: docker run --gpus all …'
      : 'npx tandem setup cuda; or use provider=webgpu',
  };
}

/** The part that names the failure, without the places in ONNX Runtime's sources. */
function shortened(words: string): string {
  const found = /(?:CUDA|CUBLAS|CUDNN|CUBLASLT) failure \d+: [^;]*|CUDA error [^\n]*|dlopen failed[^\n]*/i.exec(
    words,
  )?.[0];
  const short = (found ?? words.split('\n')[0]!).trim();
  return short.length > 200 ? `${short.slice(0, 200)}…` : short;
}
