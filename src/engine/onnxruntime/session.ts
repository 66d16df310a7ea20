/** ONNX Runtime sessions: the library is loaded on first use; all options are here; its errors become coded errors. */
import type { InferenceSession } from 'onnxruntime-node';
import { type ErrorCode, TandemError } from '../../errors.js';
import { knownCard } from '../../machine/cards/cards.js';
import { causeOf } from '../../out-of-files.js';
import type { EngineOptions } from '../engine.js';
import { orderCardsByBus } from './card-order.js';
import { missingCudaLibrary, openCudaLibraries } from './cuda-libraries.js';
import { driverFault, missingLibrary } from './driver-fault.js';
import { turnTelemetryOff } from './telemetry.js';

export type Ort = typeof import('onnxruntime-node');

let loading: Promise<Ort> | undefined;

const ADDONS_REMEDY = 'start Node without --no-addons; with --permission give --allow-addons';

/** The native library. Throws TANDEM_ENGINE_MISSING. */
export function openOrt(): Promise<Ort> {
  turnTelemetryOff();
  orderCardsByBus();
  loading ??= import('onnxruntime-node').then(
    (ort) => {
      // Its warnings are about models and would go to the user's stderr.
      ort.env.logLevel = 'fatal';
      return ort;
    },
    (cause) => {
      const { message, code } = cause as NodeJS.ErrnoException;
      throw new TandemError('TANDEM_ENGINE_MISSING', `onnxruntime-node does not load: ${message}`, {
        remedy: code === 'ERR_DLOPEN_DISABLED' ? ADDONS_REMEDY : 'npm install onnxruntime-node',
        cause: causeOf(cause),
      });
    },
  );
  return loading;
}

/** ORT's names of providers, where they differ from tandem's. */
const ORT_NAMES: Record<string, string> = { directml: 'dml' };

/** How a session is made of a slice's bytes. */
export interface SessionRequest {
  readonly bytes: Uint8Array;
  /** The folder of external data; ORT refuses files outside it. */
  readonly folder: string;
  readonly engine: EngineOptions;
  /** Only to inspect: on the CPU, without optimisation, one thread; `folded`: with shapes and constants computed. */
  readonly sketch?: boolean | 'folded';
  readonly options?: InferenceSession.SessionOptions;
}

/** Throws TANDEM_MODEL_INVALID, TANDEM_OUT_OF_MEMORY, TANDEM_ENGINE_MISSING. */
export async function openSession({
  bytes,
  folder,
  engine,
  sketch,
  options,
}: SessionRequest): Promise<InferenceSession> {
  const ort = await openOrt();
  const name = ORT_NAMES[engine.provider] ?? engine.provider;
  const known = ort.listSupportedBackends().map((backend) => backend.name);
  if (!known.includes(name)) {
    throw new TandemError('TANDEM_ENGINE_MISSING', `this onnxruntime-node has no provider "${engine.provider}"`, {
      remedy: `use provider=${known.join(' or provider=')}`,
    });
  }
  if (engine.provider === 'webgpu' && engine.deviceIndex) {
    throw new TandemError(
      'TANDEM_DEVICE_MISSING',
      'ONNX Runtime on WebGPU chooses its card itself; no other card can be named',
      {
        remedy: 'use --stage gpu',
      },
    );
  }
  const provider = providerOf(name, engine);
  if (name === 'cuda') openCudaLibraries();
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: [(sketch ? 'cpu' : provider) as InferenceSession.ExecutionProviderConfig],
      graphOptimizationLevel: sketch === 'folded' ? 'basic' : sketch ? 'disabled' : 'all',
      intraOpNumThreads: sketch ? 1 : engine.threads,
      // Waiting threads spin, ORT's default: two encoder layers of BERT-base, 4 x 128, on two threads of two cores take 441 ms with it and
      // 461 without. Spinning is slower only if the stages have more threads than there are cores (1007 and 960 ms for two such stages).
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 4,
      ...options,
      extra: {
        session: {
          model_external_initializers_file_folder_path: folder,
          ...(sketch ? { disable_prepacking: '1' } : {}),
          // Weights by their size, and not in the arena that grows by powers of two: BERT-base takes 483 MiB and not up to 1,033.
          ...(engine.provider === 'cuda' ? { use_device_allocator_for_initializers: '1' } : {}),
        },
      },
    });
  } catch (cause) {
    throw loadError(cause, engine);
  }
}

/** The provider with the card that it is to take. Throws TANDEM_DEVICE_MISSING for a card that CUDA does not reach. */
function providerOf(name: string, { deviceIndex = 0 }: EngineOptions): string | { name: string; deviceId: number } {
  const card = name === 'cuda' ? knownCard(deviceIndex) : undefined;
  if (card && !card.cuda) {
    throw new TandemError('TANDEM_DEVICE_MISSING', `CUDA runs on NVIDIA's cards; this is ${card.name}`, {
      remedy: 'use provider=webgpu, which runs on any card',
    });
  }
  const deviceId = card?.cuda?.index ?? deviceIndex;
  return deviceId > 0 ? { name, deviceId } : name;
}

/** What keeps a provider from starting, apart from the model. */
const NO_PROVIDER = /Failed to load shared library|ExecutionProvider_\w+: Failed/;
const NO_ADAPTER = /WebGPU adapter|WebGpuContext::Initialize/;

/** ORT's message, without the place in its sources. */
function saidBy(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/\/onnxruntime_src\/\S+:\d+ (.*? was false\. |.*?\) (?=[A-Z"']))/s, '').trim();
}

function loadError(cause: unknown, { provider }: EngineOptions): TandemError {
  const message = saidBy(cause);
  if (NO_ADAPTER.test(message)) {
    return new TandemError('TANDEM_DEVICE_MISSING', `WebGPU finds no card: ${message}`, {
      remedy: 'install the driver of the card with Vulkan (libvulkan1), or use --stage cpu',
      cause,
    });
  }
  // The library gives no reason: the loader does, when the files are opened.
  if (NO_PROVIDER.test(message)) return noProvider(provider, cause);
  return ortError(cause, 'TANDEM_MODEL_INVALID', provider);
}

function noProvider(provider: string, cause: unknown): TandemError {
  const missing = provider === 'cuda' ? missingCudaLibrary({ convolutions: false }) : null;
  const what = `ONNX Runtime's "${provider}" provider`;
  if (missing === null || /providers_/.test(missing)) {
    const why = missing === null ? 'cannot be loaded' : `is not installed: ${missing} is not here`;
    const remedy = provider === 'cuda' ? 'npx tandem setup cuda; or use provider=webgpu' : 'use provider=cpu';
    return new TandemError('TANDEM_ENGINE_MISSING', `${what} ${why}`, { remedy, cause });
  }
  const { code, what: why, remedy } = missingLibrary(missing);
  return new TandemError(code, `${what} cannot be loaded: ${why}`, { remedy, cause });
}

/** Anything that ORT throws, as `code`, or as the code of what it complains about: first the driver and the card, then memory, then the model. */
export function ortError(cause: unknown, code: ErrorCode, provider: string): TandemError {
  const message = saidBy(cause);
  if (cause instanceof TandemError) return cause;
  const fault = driverFault(message, provider, cause);
  if (fault) return fault;
  if (/bad_alloc|out of memory|failed to allocate|allocation failed/i.test(message)) {
    return new TandemError('TANDEM_OUT_OF_MEMORY', `ONNX Runtime has no memory left: ${message}`, {
      remedy: 'use a smaller --micro-batch, or more stages',
      cause,
    });
  }
  if (
    /Unsupported (data type|model)|is not a registered|No Op registered|is not implemented|NOT_IMPLEMENTED|Could not find an implementation/i.test(
      message,
    )
  ) {
    return new TandemError('TANDEM_MODEL_UNSUPPORTED', `ONNX Runtime cannot run this: ${message}`, {
      remedy: 'export the model without operators of its own, with an opset and IR version that onnxruntime-node knows',
      cause,
    });
  }
  const remedy =
    code === 'TANDEM_MODEL_INVALID'
      ? 'check the file with onnx.checker.check_model; export it again'
      : "the message is ONNX Runtime's own; compare the rows with the inputs that this prints: tandem inspect MODEL";
  return new TandemError(code, `ONNX Runtime: ${message}`, { remedy, cause });
}
