/** Reads a source to its end, as the pipeline would: into tensors over shared memory, a few rows at a time. */
import { Readable } from 'node:stream';
import { openSource, type SourceOptions } from '../../src/job/open-source.js';
import type { RowFailure, RowId, Source } from '../../src/job/source.js';
import { byteCount, type DType, type Shape, type Tensor, type TensorSpec, viewOf } from '../../src/tensor.js';

export interface AllRows {
  readonly rows: number;
  /** One flat list for each input. */
  readonly values: (number | bigint)[][];
  /** The raw bytes of each input's rows. */
  readonly bytes: Buffer[];
  readonly failures: RowFailure[];
  readonly ids: RowId[] | null;
}

/** One tensor for each input of `source`, filled with ones so that what is not written shows. */
export function tensorsFor(source: Source, capacity: number): Tensor[] {
  return source.rowSpecs.map(({ dtype, shape }) => {
    const dims = [capacity, ...(shape as number[])];
    const buffer = new SharedArrayBuffer(64 + byteCount(dtype, dims));
    new Uint8Array(buffer).fill(1);
    return viewOf(dtype, dims, buffer, 64);
  });
}

export async function readAll(source: Source, capacity = 3): Promise<AllRows> {
  const into = tensorsFor(source, capacity);
  const all: AllRows = {
    rows: 0,
    values: into.map(() => []),
    bytes: into.map(() => Buffer.alloc(0)),
    failures: [],
    ids: [],
  };
  let result: AllRows = all;
  try {
    for (;;) {
      const { rows, failures, ids } = await source.read(into);
      if (rows === 0) return result;
      for (const [n, { data, shape }] of into.entries()) {
        const used = data.subarray(0, (data.length / shape[0]!) * rows);
        for (const value of used) result.values[n]!.push(value);
        result.bytes[n] = Buffer.concat([result.bytes[n]!, Buffer.from(used.buffer, used.byteOffset, used.byteLength)]);
      }
      result.failures.push(...failures);
      result = { ...result, rows: result.rows + rows, ids: ids && result.ids ? [...result.ids, ...ids] : null };
    }
  } finally {
    await source.close();
  }
}

/** A model's input of any number of rows. */
export function inputSpec(name: string, dtype: DType, ...rowShape: Shape): TensorSpec {
  return { name, dtype, shape: [null, ...rowShape] };
}

/** JSON lines, as if they came from stdin. */
export function openText(text: string | Buffer, specs: TensorSpec[], options: SourceOptions = {}): Promise<Source> {
  return openSource('-', specs, { ...options, stdin: Readable.from([Buffer.from(text)]) });
}
