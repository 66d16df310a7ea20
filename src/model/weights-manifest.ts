/** The weights of a TensorFlow.js model in shard files: names, sizes and byte ranges, checked before any byte is read. */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { elementCount } from '../tensor.js';
import type { Weight } from './graph.js';

/** The quantisation of a stored weight; `min` and `scale` are of the integer kinds. */
export interface Quantization {
  readonly dtype: 'uint8' | 'uint16' | 'float16';
  readonly min?: number;
  readonly scale?: number;
  readonly original_dtype?: string;
}

/** Bytes [offset, offset + length) of one shard. */
export interface ByteRange {
  /** Absolute, links resolved. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** A weight and where its bytes are. `dtype` is the type in use; `quantization` has the type on disk. */
export interface StoredWeight extends Weight {
  readonly quantization?: Quantization;
  /** In order; more than one if the weight continues in the next shard. */
  readonly ranges: readonly ByteRange[];
}

/** Bytes of one value on disk. A string has no fixed size: its length is stored before it. */
const BYTES_OF: ReadonlyMap<string, number> = new Map([
  ['float32', 4],
  ['int32', 4],
  ['bool', 1],
  ['complex64', 8],
  ['uint8', 1],
  ['uint16', 2],
  ['float16', 2],
]);
const QUANTIZED = ['uint8', 'uint16', 'float16'] as const;
const STRING_LENGTH_BYTES = 4;
/** Node reads at most 2 GiB - 1 at once. */
const READ_AT_ONCE = 2 ** 30;

const weightSpec = z.object({
  name: z.string().min(1),
  shape: z.array(z.int().nonnegative()),
  dtype: z.enum(['float32', 'int32', 'bool', 'complex64', 'string']),
  group: z.string().optional(),
  quantization: z
    .object({
      dtype: z.enum(QUANTIZED),
      min: z.number().optional(),
      scale: z.number().optional(),
      original_dtype: z.string().optional(),
    })
    .refine(({ dtype, min, scale }) => dtype === 'float16' || (min !== undefined && scale !== undefined), {
      error: 'an integer quantization needs min and scale',
    })
    .optional(),
});
const weightGroup = z.object({ paths: z.array(z.string()), weights: z.array(weightSpec) });
const weightsManifest = z.array(weightGroup).nullish();

type WeightSpec = z.infer<typeof weightSpec>;
interface Shard {
  /** As written in the manifest. */
  readonly path: string;
  readonly file: string;
  readonly bytes: number;
}

/**
 * The weights listed by `manifest` (the `weightsManifest` of a model.json that lies at `modelFile`), in its order; weights of an optimizer are left out.
 * Throws TANDEM_MODEL_INVALID, TANDEM_WEIGHTS_MISSING, TANDEM_WEIGHTS_SHORT, TANDEM_WEIGHTS_ESCAPE.
 */
export async function readWeightsManifest(modelFile: string, manifest: unknown): Promise<Map<string, StoredWeight>> {
  const parsed = weightsManifest.safeParse(manifest);
  if (!parsed.success) {
    throw new TandemError(
      'TANDEM_MODEL_INVALID',
      `the weightsManifest of ${modelFile} is damaged: ${z.prettifyError(parsed.error)}`,
      {
        remedy: 'convert or save the model again',
      },
    );
  }
  const weights = new Map<string, StoredWeight>();
  for (const group of parsed.data ?? []) {
    const shards: Shard[] = [];
    for (const path of group.paths) shards.push(await findShard(modelFile, path));
    await placeGroup(shards, group.weights, weights);
  }
  return weights;
}

/** The shard at `path`, which must be a regular file inside the model's folder, also if links lead to it. */
async function findShard(modelFile: string, path: string): Promise<Shard> {
  if (path === '' || isAbsolute(path) || /[\0\\]|^[a-z][a-z0-9+.-]*:/i.test(path) || path.split('/').includes('..')) {
    throw escapes(path);
  }
  const wanted = resolve(dirname(modelFile), path);
  let file: string;
  try {
    file = await realpath(wanted);
  } catch (cause) {
    throw new TandemError('TANDEM_WEIGHTS_MISSING', `the weights file ${wanted} is missing`, {
      remedy: `put ${path} next to model.json`,
      cause,
    });
  }
  const homes = [await realpath(dirname(modelFile)), dirname(await realpath(modelFile))];
  if (!homes.some((home) => isInside(home, file))) throw escapes(path);
  const found = await stat(file);
  if (!found.isFile()) {
    throw new TandemError('TANDEM_WEIGHTS_MISSING', `${wanted} is not a file`, {
      remedy: `put ${path} next to model.json`,
    });
  }
  return { path, file, bytes: found.size };
}

function isInside(folder: string, file: string): boolean {
  const way = relative(folder, file);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function escapes(path: string): TandemError {
  return new TandemError(
    'TANDEM_WEIGHTS_ESCAPE',
    `the weights path ${JSON.stringify(path)} leaves the model's folder`,
    {
      remedy:
        'weights must be files in the folder of model.json; copy them there and name them without .. or a leading /',
    },
  );
}

/** Gives each weight of a group its ranges: the group's shards form one sequence of bytes, in which the weights follow each other. */
async function placeGroup(shards: Shard[], specs: WeightSpec[], weights: Map<string, StoredWeight>): Promise<void> {
  const held = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  let at = 0;
  for (const spec of specs) {
    const bytes =
      spec.dtype === 'string' && !spec.quantization ? await stringBytes(shards, at, spec) : fixedBytes(spec);
    if (at + bytes > held) throw short(shards, at + bytes, held, spec.name);
    if (spec.group !== 'optimizer') {
      if (weights.has(spec.name)) {
        throw new TandemError('TANDEM_MODEL_INVALID', `the weight ${spec.name} is listed twice`);
      }
      const { name, dtype, shape, quantization } = spec;
      weights.set(name, { name, dtype, shape, bytes, quantization, ranges: rangesOf(shards, at, bytes) });
    }
    at += bytes;
  }
}

/** The files of the weights, each once. */
export function shardsOf(weights: ReadonlyMap<string, StoredWeight>): string[] {
  return [...new Set([...weights.values()].flatMap(({ ranges }) => ranges.map(({ file }) => file)))];
}

function fixedBytes(spec: WeightSpec): number {
  const bytes = elementCount(spec.shape) * BYTES_OF.get(spec.quantization?.dtype ?? spec.dtype)!;
  if (!Number.isSafeInteger(bytes)) {
    throw new TandemError('TANDEM_MODEL_INVALID', `the weight ${spec.name} has a size that no file can have`);
  }
  return bytes;
}

/** The size of a string weight, read from its bytes: each value has its length, 32 bits, before it. */
async function stringBytes(shards: Shard[], start: number, spec: WeightSpec): Promise<number> {
  const held = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  let at = start;
  for (let left = elementCount(spec.shape); left > 0; left--) {
    if (at + STRING_LENGTH_BYTES > held) throw short(shards, at + STRING_LENGTH_BYTES, held, spec.name);
    const head = new Uint8Array(STRING_LENGTH_BYTES);
    await readWeight({ ...spec, bytes: head.length, ranges: rangesOf(shards, at, head.length) }, head);
    at += STRING_LENGTH_BYTES + new DataView(head.buffer).getUint32(0, true);
  }
  return at - start;
}

function short(shards: Shard[], expected: number, actual: number, weight: string): TandemError {
  const names = shards.map(({ path, bytes }) => `${path} (${bytes} bytes)`).join(', ') || 'no file';
  return new TandemError(
    'TANDEM_WEIGHTS_SHORT',
    `the weights end too early: ${weight} ends at byte ${expected}, but ${names} ${shards.length > 1 ? 'hold' : 'holds'} ${actual}`,
    { remedy: 'the file was cut off while it was copied or downloaded; fetch it again' },
  );
}

function rangesOf(shards: Shard[], start: number, length: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  let base = 0;
  for (const { file, bytes } of shards) {
    const from = Math.max(start, base);
    const to = Math.min(start + length, base + bytes);
    if (from < to) ranges.push({ file, offset: from - base, length: to - from });
    base += bytes;
  }
  return ranges;
}

/** The bytes of a weight as stored, into `into`, which has room for exactly them. Throws TANDEM_WEIGHTS_SHORT when a file changed under us. */
export async function readWeight({ ranges }: StoredWeight, into: Uint8Array): Promise<void> {
  let at = 0;
  for (const range of ranges) {
    // The path was resolved when the graph was read: a link there was made since.
    const file = await open(range.file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      await readFully(file, into.subarray(at, at + range.length), range);
    } finally {
      await file.close();
    }
    at += range.length;
  }
}

async function readFully(file: FileHandle, into: Uint8Array, { file: path, offset }: ByteRange): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, Math.min(into.length - done, READ_AT_ONCE), offset + done);
    if (bytesRead === 0) {
      throw new TandemError(
        'TANDEM_WEIGHTS_SHORT',
        `${path} ends before byte ${offset + into.length}: it changed while it was read`,
      );
    }
    done += bytesRead;
  }
}
