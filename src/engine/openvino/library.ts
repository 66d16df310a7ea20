/** OpenVINO's C library through koffi: the functions that are needed, with their types (openvino/include/openvino/c of the wheel). */
import { createRequire } from 'node:module';
import { TandemError } from '../../errors.js';
import { openvinoLibrary } from './files.js';

const require = createRequire(import.meta.url);

/** The address of an object of OpenVINO. */
export type Handle = bigint;

type Status = number;
type Out<T> = [T | null];
type Fn<A extends readonly unknown[], R = Status> = (...args: A) => R;

export interface Shape {
  readonly rank: number;
  readonly dims: BigInt64Array;
}

export interface OvLibrary {
  readonly koffi: typeof import('koffi');
  readonly lastError: Fn<[], string | null>;
  readonly free: Fn<[text: Handle], void>;
  readonly version: Fn<[version: object]>;
  readonly versionFree: Fn<[version: object], void>;
  readonly coreCreate: Fn<[core: Out<Handle>]>;
  readonly coreProperty: Fn<[core: Handle, device: string, key: string, value: Out<Handle>]>;
  readonly readModel: Fn<[core: Handle, bytes: Uint8Array, size: number, weights: null, model: Out<Handle>]>;
  readonly compileModel: Fn<
    [core: Handle, model: Handle, device: string, args: number, compiled: Out<Handle>, ...properties: string[]]
  >;
  readonly compiledProperty: Fn<[compiled: Handle, key: string, value: Out<Handle>]>;
  readonly modelFree: Fn<[model: Handle], void>;
  readonly compiledFree: Fn<[compiled: Handle], void>;
  readonly createRequest: Fn<[compiled: Handle, request: Out<Handle>]>;
  readonly requestFree: Fn<[request: Handle], void>;
  readonly setInput: Fn<[request: Handle, index: number, tensor: Handle]>;
  readonly infer: Fn<[request: Handle]>;
  readonly output: Fn<[request: Handle, index: number, tensor: Out<Handle>]>;
  readonly tensorOver: Fn<[element: number, shape: Shape, data: ArrayBufferView, tensor: Out<Handle>]>;
  readonly tensorElement: Fn<[tensor: Handle, element: Out<number>]>;
  readonly tensorShape: Fn<[tensor: Handle, shape: object]>;
  readonly shapeFree: Fn<[shape: object], void>;
  readonly tensorBytes: Fn<[tensor: Handle, bytes: Out<number>]>;
  readonly tensorData: Fn<[tensor: Handle, data: Out<Handle>]>;
  readonly tensorFree: Fn<[tensor: Handle], void>;
}

let opened: OvLibrary | undefined;

/** Loads the library into this process. Throws TANDEM_ENGINE_MISSING. */
export function openLibrary(): OvLibrary {
  if (opened) return opened;
  const file = openvinoLibrary();
  if (file === null) {
    throw new TandemError('TANDEM_ENGINE_MISSING', 'OpenVINO is not set up', { remedy: 'npx tandem setup openvino' });
  }
  try {
    opened = bind(require('koffi') as typeof import('koffi'), file);
  } catch (cause) {
    const why = (cause as Error).message.split('\n')[0];
    throw new TandemError('TANDEM_ENGINE_MISSING', `OpenVINO does not load: ${why}`, {
      remedy: 'npx tandem setup openvino --force',
      cause,
    });
  }
  return opened;
}

function bind(koffi: typeof import('koffi'), file: string): OvLibrary {
  const library = koffi.load(file);
  const shape = koffi.struct({ rank: 'int64_t', dims: 'void *' });
  const version = koffi.struct({ build: 'void *', description: 'void *' });
  const of = (name: string, result: string, ...args: (string | object)[]) => library.func(name, result, args as never);
  const status = (name: string, ...args: (string | object)[]) => of(name, 'int', ...args);
  const out = (type: string | object) => koffi.out(koffi.pointer(type as never));
  const inOut = (type: object) => koffi.inout(koffi.pointer(type as never));
  const object = out('void *');
  const compile = library.func(
    'int ov_core_compile_model(void *core, void *model, const char *device, size_t count, _Out_ void **compiled, ...)',
  );
  return {
    koffi,
    lastError: of('ov_get_last_err_msg', 'const char *') as OvLibrary['lastError'],
    free: of('ov_free', 'void', 'void *') as OvLibrary['free'],
    version: status('ov_get_openvino_version', out(version)) as OvLibrary['version'],
    versionFree: of('ov_version_free', 'void', inOut(version)) as OvLibrary['versionFree'],
    coreCreate: status('ov_core_create', object) as OvLibrary['coreCreate'],
    coreProperty: status('ov_core_get_property', 'void *', 'str', 'str', object) as OvLibrary['coreProperty'],
    readModel: status(
      'ov_core_read_model_from_memory_buffer',
      ...['void *', 'const uint8_t *', 'size_t', 'void *'],
      object,
    ) as OvLibrary['readModel'],
    compileModel: (...args) => {
      const [core, model, device, count, compiled, ...pairs] = args;
      return compile(core, model, device, count, compiled, ...pairs.flatMap((each) => ['str', each]));
    },
    compiledProperty: status(
      'ov_compiled_model_get_property',
      'void *',
      'str',
      object,
    ) as OvLibrary['compiledProperty'],
    modelFree: of('ov_model_free', 'void', 'void *') as OvLibrary['modelFree'],
    compiledFree: of('ov_compiled_model_free', 'void', 'void *') as OvLibrary['compiledFree'],
    createRequest: status('ov_compiled_model_create_infer_request', 'void *', object) as OvLibrary['createRequest'],
    requestFree: of('ov_infer_request_free', 'void', 'void *') as OvLibrary['requestFree'],
    setInput: status(
      'ov_infer_request_set_input_tensor_by_index',
      'void *',
      'size_t',
      'void *',
    ) as OvLibrary['setInput'],
    infer: status('ov_infer_request_infer', 'void *') as OvLibrary['infer'],
    output: status('ov_infer_request_get_output_tensor_by_index', 'void *', 'size_t', object) as OvLibrary['output'],
    tensorOver: status('ov_tensor_create_from_host_ptr', 'int', shape, 'void *', object) as OvLibrary['tensorOver'],
    tensorElement: status('ov_tensor_get_element_type', 'void *', out('int')) as OvLibrary['tensorElement'],
    tensorShape: status('ov_tensor_get_shape', 'void *', out(shape)) as OvLibrary['tensorShape'],
    shapeFree: of('ov_shape_free', 'void', inOut(shape)) as OvLibrary['shapeFree'],
    tensorBytes: status('ov_tensor_get_byte_size', 'void *', out('size_t')) as OvLibrary['tensorBytes'],
    tensorData: status('ov_tensor_data', 'void *', object) as OvLibrary['tensorData'],
    tensorFree: of('ov_tensor_free', 'void', 'void *') as OvLibrary['tensorFree'],
  };
}

/** ov_status_e: an argument is not what the C wrapper takes. */
export const INVALID_C_PARAM = -14;

/** Statuses that the C wrapper itself returns (ov_status_e): its last message is then that of an earlier call. */
const OF_WRAPPER: Record<number, string> = {
  [INVALID_C_PARAM]: 'an argument of a call is invalid',
  [-15]: 'an error without words',
  [-16]: 'a call that this build does not implement',
  [-17]: 'an exception without words',
};

/** The status of a call as an error, in OpenVINO's own words; nothing for 0. */
export function check(library: OvLibrary, status: Status): void {
  if (status === 0) return;
  throw new Error(OF_WRAPPER[status] ?? (library.lastError()?.trim() || `status ${status}`));
}

/** What a call hands out. Throws the library's own error. */
export function made<T>(library: OvLibrary, call: (out: Out<T>) => Status): T {
  const out: Out<T> = [null];
  check(library, call(out));
  return out[0] as T;
}

/** A text that the library hands out; its memory goes back. */
export function text(library: OvLibrary, call: (out: Out<Handle>) => Status): string {
  const address = made(library, call);
  try {
    return library.koffi.decode(address, 'char', -1) as string;
  } finally {
    library.free(address);
  }
}
