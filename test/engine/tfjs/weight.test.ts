/** Weights of every stored type reach TensorFlow as tfjs itself would have read them. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { heldBytes, loadWeights } from '../../../src/engine/tfjs/weight.js';
import { TandemError } from '../../../src/errors.js';
import { readWeightsManifest } from '../../../src/model/weights-manifest.js';
import { Random } from '../../../src/prove/models/random.js';
import { tensorflow } from '../../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;

const integers = (dtype: string) => ({ quantization: { dtype, min: -1.3, scale: 0.017 } });
/** One of each kind, at byte offsets that no wider type could be read from in place. */
const SPECS = [
  { name: 'pad', shape: [1], dtype: 'bool' },
  { name: 'plain', shape: [3, 5], dtype: 'float32' },
  { name: 'uint8', shape: [7], dtype: 'float32', ...integers('uint8') },
  { name: 'uint16', shape: [2, 3], dtype: 'float32', ...integers('uint16') },
  { name: 'rounded', shape: [9], dtype: 'int32', ...integers('uint8') },
  { name: 'half', shape: [65536], dtype: 'float32', quantization: { dtype: 'float16' } },
  { name: 'numbers', shape: [4], dtype: 'int32' },
  { name: 'flags', shape: [3], dtype: 'bool' },
  { name: 'scalar', shape: [], dtype: 'float32' },
  { name: 'empty', shape: [0, 4], dtype: 'float32' },
  { name: 'complex', shape: [2], dtype: 'complex64' },
  { name: '__proto__', shape: [2], dtype: 'float32' },
];
const SIZES: Record<string, number> = { bool: 1, float32: 4, int32: 4, complex64: 8, uint8: 1, uint16: 2, float16: 2 };
const sizeOf = ({ shape, dtype, quantization }: { shape: number[]; dtype: string; quantization?: { dtype: string } }) =>
  shape.reduce((product, dim) => product * dim, 1) * SIZES[quantization?.dtype ?? dtype]!;

/** Bytes of a weight: every half that is a number (bits of a NaN mean nothing), floats, flags of 0 and 1, else anything. */
function bytesFor(spec: (typeof SPECS)[number], random: Random): Uint8Array {
  const count = spec.shape.reduce((product, dim) => product * dim, 1);
  const isNaN16 = (bits: number) => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
  if (spec.name === 'half')
    return new Uint8Array(Uint16Array.from({ length: count }, (_, n) => (isNaN16(n) ? 0 : n)).buffer);
  if (spec.dtype === 'bool') return Uint8Array.from({ length: count }, () => random.below(2));
  if (spec.dtype !== 'int32' && !('quantization' in spec))
    return new Uint8Array(random.floats(sizeOf(spec) / 4, -9, 9).buffer);
  return Uint8Array.from({ length: sizeOf(spec) }, () => random.below(256));
}

test('every type and quantisation, at any offset: the same bits as tf.io.decodeWeights', { skip }, async () => {
  const random = new Random(7);
  const stored = SPECS.map((spec) => bytesFor(spec, random));
  const file = join(mkdtempSync(join(tmpdir(), 'tandem-weight-')), 'model.json');
  writeFileSync(file, '{}');
  writeFileSync(join(file, '../a.bin'), Buffer.concat(stored));
  const weights = await readWeightsManifest(file, [{ paths: ['a.bin'], weights: SPECS }]);
  const before = tf!.memory().numTensors;
  const loaded = await loadWeights(tf!, [...weights.values()]);
  assert.deepEqual(
    [...loaded.keys()],
    SPECS.map(({ name }) => name),
  );
  for (const [n, spec] of SPECS.entries()) {
    const tensor = loaded.get(spec.name)!;
    const { w } = tf!.io.decodeWeights(Uint8Array.from(stored[n]!).buffer, [{ ...spec, name: 'w' } as never]);
    assert.deepEqual([tensor.dtype, tensor.shape], [w!.dtype, w!.shape], spec.name);
    assert.ok(Buffer.from(tensor.dataSync().buffer).equals(Buffer.from(w!.dataSync().buffer)), spec.name);
    if (spec.dtype !== 'complex64') assert.equal(heldBytes(tf!, tensor, 0), tensor.size * SIZES[spec.dtype]!);
    tf!.dispose([tensor, w!]);
  }
  assert.equal(tf!.memory().numTensors, before);
});

test('strings are read as tfjs reads them', { skip }, async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'tandem-weight-')), 'model.json');
  writeFileSync(file, '{}');
  writeFileSync(join(file, '../a.bin'), Buffer.from('\x02\0\0\0ab\0\0\0\0\x01\0\0\0c', 'latin1'));
  const weights = await readWeightsManifest(file, [
    { paths: ['a.bin'], weights: [{ name: 'words', shape: [3], dtype: 'string' }] },
  ]);
  const loaded = await loadWeights(tf!, [...weights.values()]);
  assert.deepEqual(loaded.get('words')!.dataSync() as unknown, ['ab', '', 'c']);
  tf!.dispose([...loaded.values()]);
});

test('when one weight cannot be read, those before it are let go', { skip }, async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'tandem-weight-')), 'model.json');
  writeFileSync(file, '{}');
  writeFileSync(join(file, '../a.bin'), Buffer.alloc(16));
  const specs = ['a', 'b'].map((name) => ({ name, shape: [2], dtype: 'float32' }));
  const weights = await readWeightsManifest(file, [{ paths: ['a.bin'], weights: specs }]);
  writeFileSync(join(file, '../a.bin'), Buffer.alloc(9));
  const before = tf!.memory().numTensors;
  await assert.rejects(
    loadWeights(tf!, [...weights.values()]),
    (error) => error instanceof TandemError && error.code === 'TANDEM_WEIGHTS_SHORT',
  );
  assert.equal(tf!.memory().numTensors, before);
});
