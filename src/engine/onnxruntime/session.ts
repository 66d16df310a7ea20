/** ONNX Runtime sessions: loaded when first needed, options in one place, its errors as coded ones. */
import type { InferenceSession } from 'onnxruntime-node';
import { type ErrorCode, TandemError } from '../../errors.js';
import type { EngineOptions } from '../engine.js';

export type Ort = typeof import('onnxruntime-node');

let loading: Promise<Ort> | undefined;

/** The native library. Throws TANDEM_ENGINE_MISSING. */
export function openOrt(): Promise<Ort> {
  loading ??= import('onnxruntime-node').then(
    (ort) => {
      // Its warnings are about models, not about us, and would land on the user's stderr.
      ort.env.logLevel = 'fatal';
      return ort;
    },
    (cause) => {
      throw new TandemError('TANDEM_ENGINE_MISSING', `onnxruntime-node does not load: ${(cause as Error).message}`, {
        remedy: 'npm install onnxruntime-node',
        cause,
      });
    },
  );
  return loading;
}

/** What ORT calls a provider that tandem calls otherwise. */
const ORT_NAMES: Record<string, string> = { directml: 'dml' };

/** The package's own script, which npm is told not to run: it fetches what is too large for the package. */
const CUDA_REMEDY = 'ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js';

/** How a session is made of a slice's bytes. */
export interface SessionRequest {
  readonly bytes: Uint8Array;
  /** The folder that external data is looked for in; ORT refuses anything outside it. */
  readonly folder: string;
  readonly engine: EngineOptions;
  /** Only to look at: on the CPU, no optimisation, one thread; `folded` with what can be computed of shapes and constants put in. */
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
    throw new TandemError('TANDEM_DEVICE_MISSING', 'WebGPU chooses its card itself; it cannot be asked for another', {
      remedy: 'use --stage gpu',
    });
  }
  const provider = engine.deviceIndex ? { name, deviceId: engine.deviceIndex } : name;
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: [(sketch ? 'cpu' : provider) as InferenceSession.ExecutionProviderConfig],
      graphOptimizationLevel: sketch === 'folded' ? 'basic' : sketch ? 'disabled' : 'all',
      intraOpNumThreads: sketch ? 1 : engine.threads,
      // Waiting threads spin, as ORT has it: two encoder layers of BERT-base, 4 x 128, on two threads of two cores take 441 ms with it and
      // 461 without. Only where stages have more threads than there are cores is it the worse way (1007 and 960 ms for two such stages).
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 4,
      ...options,
      extra: {
        session: {
          model_external_initializers_file_folder_path: folder,
          ...(sketch ? { disable_prepacking: '1' } : {}),
        },
      },
    });
  } catch (cause) {
    throw loadError(cause, engine);
  }
}

/** What keeps a provider from starting, apart from the model. */
const NO_PROVIDER = /Failed to load shared library|ExecutionProvider_\w+: Failed/;
const NO_ADAPTER = /WebGPU adapter|WebGpuContext::Initialize/;

/** ORT's own words, without the place in its sources. */
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
  if (NO_PROVIDER.test(message)) {
    return new TandemError('TANDEM_ENGINE_MISSING', `ONNX Runtime's "${provider}" provider is not installed`, {
      remedy: provider === 'cuda' ? `${CUDA_REMEDY}; or use provider=webgpu` : 'use provider=cpu',
      cause,
    });
  }
  return ortError(cause, 'TANDEM_MODEL_INVALID');
}

/** Anything that ORT throws, as `code`, or as the code of what it complains about. */
export function ortError(cause: unknown, code: ErrorCode): TandemError {
  const message = saidBy(cause);
  if (cause instanceof TandemError) return cause;
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
      : "the words are ONNX Runtime's own; compare the rows with what tandem inspect MODEL says of the inputs";
  return new TandemError(code, `ONNX Runtime: ${message}`, { remedy, cause });
}
