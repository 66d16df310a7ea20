/** Writes a generated model in tfjs's format: model.json and weight shards. One weight is in memory at a time. */
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { Random, seedOf } from '../../src/prove/models/random.js';

/** The values of a weight: uniform in [low, high), or given values. */
export interface MadeWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype?: 'float32' | 'int32' | 'bool' | 'string';
  readonly low?: number;
  readonly high?: number;
  readonly values?: readonly number[] | readonly string[];
  /** Stored as uint8 with min and scale. */
  readonly quantized?: boolean;
}

export interface MadeModel {
  readonly format: 'layers-model' | 'graph-model';
  readonly modelTopology: unknown;
  readonly signature?: unknown;
  /** The initializer graph that fills hash tables. */
  readonly modelInitializer?: unknown;
  readonly weights: readonly MadeWeight[];
}

export interface WriteOptions {
  readonly seed: number;
  /** Size of a shard. Like the tfjs converter, it may split a weight. */
  readonly shardBytes: number;
}

/** Returns the path of model.json. */
export async function writeModel(
  folder: string,
  model: MadeModel,
  { seed, shardBytes }: WriteOptions,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const total = model.weights.reduce((sum, weight) => sum + storedBytes(weight), 0);
  const count = Math.max(1, Math.ceil(total / shardBytes));
  const paths = Array.from({ length: count }, (_, n) => `group1-shard${n + 1}of${count}.bin`);
  const shards = new Shards(folder, paths, shardBytes);
  const specs: unknown[] = [];
  for (const weight of model.weights) {
    const { bytes, quantization } = encode(weight, seed);
    specs.push({
      name: weight.name,
      shape: weight.shape,
      dtype: weight.dtype ?? 'float32',
      ...(quantization && { quantization }),
    });
    await shards.write(bytes);
  }
  await shards.close();
  const json = {
    format: model.format,
    generatedBy: 'tandem make-model',
    convertedBy: null,
    modelTopology: model.modelTopology,
    ...(model.signature !== undefined && { signature: model.signature }),
    ...(model.modelInitializer !== undefined && { modelInitializer: model.modelInitializer }),
    weightsManifest: [{ paths, weights: specs }],
  };
  const file = join(folder, 'model.json');
  await writeFile(file, JSON.stringify(json));
  return file;
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

function storedBytes(weight: MadeWeight): number {
  if (weight.dtype === 'string') return encodeStrings(weight.values as readonly string[]).length;
  return countOf(weight.shape) * (weight.quantized || weight.dtype === 'bool' ? 1 : 4);
}

function encode(weight: MadeWeight, seed: number): { bytes: Uint8Array; quantization?: object } {
  if (weight.dtype === 'string') return { bytes: encodeStrings(weight.values as readonly string[]) };
  const given = weight.values as readonly number[] | undefined;
  if (weight.dtype === 'bool') return { bytes: Uint8Array.from(given!) };
  if (weight.dtype === 'int32') return { bytes: new Uint8Array(Int32Array.from(given!).buffer) };
  const { low = -1, high = 1 } = weight;
  const values = given
    ? Float32Array.from(given)
    : new Random(seedOf(weight.name, seed)).floats(countOf(weight.shape), low, high);
  if (!weight.quantized) return { bytes: new Uint8Array(values.buffer) };
  const scale = (high - low) / 255;
  return {
    bytes: Uint8Array.from(values, (v) => Math.round((v - low) / scale)),
    quantization: { dtype: 'uint8', min: low, scale },
  };
}

/** Each value after its length, as 32 bits little-endian. */
function encodeStrings(values: readonly string[]): Uint8Array {
  return Buffer.concat(
    values.flatMap((value) => {
      const text = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      return [length, text];
    }),
  );
}

/** A byte stream that is split over several files. */
class Shards {
  readonly #streams: WriteStream[];
  readonly #room: number;
  #at = 0;

  constructor(folder: string, paths: readonly string[], shardBytes: number) {
    this.#streams = paths.map((path) => createWriteStream(join(folder, path)));
    this.#room = shardBytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const n = Math.min(bytes.length - from, this.#room - (this.#at % this.#room));
      const stream = this.#streams[Math.floor(this.#at / this.#room)]!;
      if (!stream.write(bytes.subarray(from, from + n))) await once(stream, 'drain');
      from += n;
      this.#at += n;
    }
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) {
      stream.end();
      await finished(stream);
    }
  }
}
