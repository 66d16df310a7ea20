/** OpenVINO's core of this thread: reads and compiles models, and names its devices. */
import { TandemError } from '../../errors.js';
import type { EngineOptions } from '../engine.js';
import { openvinoError } from './failure.js';
import { check, type Handle, made, type OvLibrary, openLibrary, text } from './library.js';
import { isOpenvinoProvider, OPENVINO_PROVIDERS, type OpenvinoProvider } from './providers.js';
import { inFolder } from './working-directory.js';

let core: Handle | undefined;

function openCore(library: OvLibrary): Handle {
  core ??= made<Handle>(library, (out) => library.coreCreate(out));
  return core;
}

/** A model compiled for a device. */
export interface Compiled {
  readonly library: OvLibrary;
  readonly handle: Handle;
  readonly ranOn: 'cpu' | 'gpu';
  readonly deviceName: string;
}

export interface CompileRequest {
  /** A ModelProto. */
  readonly bytes: Uint8Array;
  /** The folder of its external data. */
  readonly folder: string;
  readonly engine: EngineOptions;
}

/** Throws TANDEM_ENGINE_MISSING, TANDEM_USAGE, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED, TANDEM_DEVICE_MISSING, TANDEM_OUT_OF_MEMORY. */
export function compile({ bytes, folder, engine }: CompileRequest): Compiled {
  const provider = providerNamed(engine.provider);
  const library = openLibrary();
  const { device: kind } = provider;
  const device = kind === 'GPU' ? `GPU.${engine.deviceIndex ?? 0}` : kind;
  try {
    const owner = openCore(library);
    const model = inFolder(folder, () =>
      made<Handle>(library, (out) => library.readModel(owner, bytes, bytes.byteLength, null, out)),
    );
    try {
      const properties = propertiesOf(provider, engine);
      const handle = made<Handle>(library, (out) =>
        library.compileModel(owner, model, device, properties.length, out, ...properties),
      );
      requirePrecision(library, handle, engine.provider, provider);
      return { library, handle, ...placementOf(library, owner, handle) };
    } finally {
      library.modelFree(model);
    }
  } catch (cause) {
    throw openvinoError(cause, 'TANDEM_MODEL_INVALID');
  }
}

function providerNamed(name: string): OpenvinoProvider {
  if (isOpenvinoProvider(name)) return OPENVINO_PROVIDERS[name];
  const remedy = `use provider=${Object.keys(OPENVINO_PROVIDERS).join(' or provider=')}`;
  throw new TandemError('TANDEM_USAGE', `OpenVINO has no provider "${name}"`, { remedy });
}

/** A name, its value, the next name, and so on. No cache of compiled models is set, so none is kept. */
function propertiesOf({ device, precision }: OpenvinoProvider, { threads }: EngineOptions): string[] {
  const shared = ['NUM_STREAMS', '1', 'INFERENCE_PRECISION_HINT', precision];
  if (device !== 'CPU') return shared;
  return [
    ...shared,
    ...['INFERENCE_NUM_THREADS', String(threads)],
    // Every stage would pin its threads to the same first cores.
    ...['ENABLE_CPU_PINNING', 'NO'],
    // Activations of models with compressed weights stay as they are.
    ...['DYNAMIC_QUANTIZATION_GROUP_SIZE', '0'],
  ];
}

/** A processor without such instructions computes otherwise, without a word. Throws TANDEM_DEVICE_MISSING. */
function requirePrecision(
  library: OvLibrary,
  compiled: Handle,
  name: string,
  { device, precision }: OpenvinoProvider,
): void {
  const found = text(library, (out) => library.compiledProperty(compiled, 'INFERENCE_PRECISION_HINT', out));
  if (found === precision || (found === 'float' && precision === 'f32')) return;
  library.compiledFree(compiled);
  throw new TandemError('TANDEM_DEVICE_MISSING', `${name} would compute in ${found} on this ${device}`, {
    remedy: 'use provider=openvino, which computes in float32',
  });
}

function placementOf(library: OvLibrary, owner: Handle, compiled: Handle): Pick<Compiled, 'ranOn' | 'deviceName'> {
  const ran = text(library, (out) => library.compiledProperty(compiled, 'EXECUTION_DEVICES', out)).trim();
  const device = ran.replace(/^\(|\)$/g, '');
  const name = text(library, (out) => library.coreProperty(owner, device, 'FULL_DEVICE_NAME', out)).trim();
  return { ranOn: device.startsWith('GPU') ? 'gpu' : 'cpu', deviceName: `${name}, through OpenVINO` };
}

/** The build of the loaded library, as it reports it: `2026.4.0-22959-…`. */
export function libraryVersion(): string {
  const library = openLibrary();
  const version = {} as { build: Handle; description: Handle };
  check(library, library.version(version));
  const build = library.koffi.decode(version.build, 'char', -1) as string;
  library.versionFree(version);
  return build;
}
