/** Opens a safetensors file as a source: tensors are named like the model's inputs, with rows as their first axis; a model with one input also takes the only tensor. */
import type { FileHandle } from 'node:fs/promises';
import { TandemError } from '../../errors.js';
import type { TensorSpec } from '../../tensor.js';
import { arrayFor } from '../array-for.js';
import { FileRange } from '../byte-reader.js';
import { HEAD_BYTES, refuseOtherKinds } from '../file-kind.js';
import { openInput } from '../input-file.js';
import { safetensorsLocation } from '../npy/array-location.js';
import { ColumnsSource } from '../npy/columns-source.js';
import { NpyColumn } from '../npy/npy-column.js';
import type { ArrayOptions } from '../npy/open-npy.js';
import type { Source } from '../source.js';
import { headerLength, PREFIX_BYTES, parseHeader, type StoredTensor } from './header.js';

/** Throws TANDEM_INPUT_MISSING, TANDEM_INPUT_INVALID, TANDEM_INPUT_EMPTY. */
export async function openSafetensors(
  path: string,
  specs: readonly TensorSpec[],
  { firstRow, allowNonFinite }: ArrayOptions,
): Promise<Source> {
  const { handle, size } = await openInput(path);
  try {
    if (size === null) throw noPipe(path);
    const { tensors, start } = await readHeader(handle, path, size);
    const columns: NpyColumn[] = [];
    for (const spec of specs) {
      const given = arrayFor(spec.name, tensors, specs.length === 1, (arrays) => missing(path, spec.name, arrays));
      const [name, { dtype, code, shape, from, to }] = given;
      const location = safetensorsLocation(path, name);
      if (dtype === null) throw noSuchType(location.label, code, location.fix);
      const bytes = new FileRange(handle, location.label, start + from, start + to);
      columns.push(NpyColumn.of(bytes, { dtype, shape, bigEndian: false }, { location, spec, allowNonFinite }));
    }
    return await ColumnsSource.open({ columns, firstRow, release: () => handle.close() });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The tensors, and where their data begins in the file. */
async function readHeader(
  handle: FileHandle,
  path: string,
  size: number,
): Promise<{ tensors: Map<string, StoredTensor>; start: number }> {
  const bytes = new FileRange(handle, path, 0, size);
  const head = Buffer.alloc(Math.min(size, HEAD_BYTES));
  await new FileRange(handle, path, 0, size).read(head);
  refuseOtherKinds(head, path, 'safetensors');
  try {
    const prefix = Buffer.alloc(Math.min(size, PREFIX_BYTES));
    await bytes.read(prefix);
    const json = Buffer.alloc(headerLength(prefix, size));
    await bytes.read(json);
    const start = PREFIX_BYTES + json.length;
    return { tensors: parseHeader(json, size - start), start };
  } catch (cause) {
    if (cause instanceof TandemError) throw cause;
    throw new TandemError(
      'TANDEM_INPUT_INVALID',
      `${path} cannot be read as safetensors: ${(cause as Error).message}`,
      { remedy: 'write it again with save_file of the package safetensors, or copy it whole', cause },
    );
  }
}

function missing(path: string, input: string, names: readonly string[]): TandemError {
  return new TandemError(
    'TANDEM_INPUT_INVALID',
    `${path} has no tensor "${input}"; it has ${names.join(', ') || 'none'}`,
    { remedy: `name it like the model's input: save_file({${JSON.stringify(input)}: array}, FILE)` },
  );
}

function noSuchType(label: string, code: string, fix: (change: (array: string) => string) => string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${label} has the type ${code}, which no model takes`, {
    remedy: fix((array) => `${array}.astype(np.float32)`),
  });
}

function noPipe(path: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${path} is a pipe, and the tensors of a safetensors file lie apart`, {
    remedy: 'write it to a file first, or send NPY or JSON lines',
  });
}
