/** Opens NPY arrays as a source: one file for each model input, or one array from a stream. */
import type { Readable } from 'node:stream';
import { TandemError } from '../../errors.js';
import { nearestName } from '../../nearest-name.js';
import type { TensorSpec } from '../../tensor.js';
import { openChunks } from '../byte-chunks.js';
import { type ByteReader, FileRange, StreamBytes } from '../byte-reader.js';
import { COMPRESSED } from '../format-of-path.js';
import { openInput } from '../input-file.js';
import type { Source } from '../source.js';
import { npyLocation, stdinLocation } from './array-location.js';
import { ColumnsSource } from './columns-source.js';
import { NpyColumn } from './npy-column.js';

export interface ArrayOptions {
  readonly firstRow: number;
  readonly allowNonFinite: boolean;
}

/** The keys of `paths` are the names of the model's inputs. */
export async function openNpy(
  paths: ReadonlyMap<string, string>,
  specs: readonly TensorSpec[],
  { firstRow, allowNonFinite }: ArrayOptions,
): Promise<Source> {
  checkNames(
    [...paths.keys()],
    specs.map(({ name }) => name),
  );
  const releases: (() => Promise<void>)[] = [];
  const release = async () => {
    for (const one of releases) await one();
  };
  try {
    const columns: NpyColumn[] = [];
    for (const spec of specs) {
      const path = paths.get(spec.name)!;
      const { bytes, close } = await openBytes(path);
      releases.push(close);
      columns.push(await NpyColumn.open(bytes, npyLocation(path), spec, { allowNonFinite }));
    }
    return await ColumnsSource.open({ columns, firstRow, release });
  } catch (error) {
    await release();
    throw error;
  }
}

export async function openNpyStdin(
  stdin: Readable,
  spec: TensorSpec,
  { firstRow, allowNonFinite }: ArrayOptions,
): Promise<Source> {
  const release = async () => {
    stdin.destroy();
  };
  try {
    const column = await NpyColumn.open(new StreamBytes(stdin, 'stdin'), stdinLocation(), spec, { allowNonFinite });
    return await ColumnsSource.open({ columns: [column], firstRow, release });
  } catch (error) {
    await release();
    throw error;
  }
}

async function openBytes(path: string): Promise<{ bytes: ByteReader; close: () => Promise<void> }> {
  if (COMPRESSED.test(path)) {
    const { chunks, release } = await openChunks(path, 'npy');
    return { bytes: new StreamBytes(chunks, path), close: release };
  }
  const { handle, size } = await openInput(path);
  if (size !== null) return { bytes: new FileRange(handle, path, 0, size), close: () => handle.close() };
  const stream = handle.createReadStream();
  const close = async () => {
    stream.destroy();
  };
  return { bytes: new StreamBytes(stream, path), close };
}

function checkNames(given: readonly string[], wanted: readonly string[]): void {
  const unknown = given.find((name) => !wanted.includes(name));
  const missing = wanted.find((name) => !given.includes(name));
  if (unknown === undefined && missing === undefined) return;
  const nearest = unknown === undefined ? null : nearestName(unknown, wanted);
  const problem =
    unknown === undefined ? `no file is given for input "${missing}"` : `the model has no input "${unknown}"`;
  throw new TandemError('TANDEM_INPUT_INVALID', problem, {
    remedy: nearest === null ? `the model's inputs are ${wanted.join(', ')}` : `did you mean ${nearest}?`,
  });
}
