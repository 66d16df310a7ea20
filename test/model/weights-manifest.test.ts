/** Weights by byte range: every weight's bytes are found over any shards, and whatever is damaged is refused by name before it is read. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { TandemError } from '../../src/errors.js';
import { readWeight, readWeightsManifest, type StoredWeight } from '../../src/model/weights-manifest.js';

/** A folder with a model.json that need not hold anything; returns its path. */
function modelFile(): string {
  const file = join(mkdtempSync(join(tmpdir(), 'tandem-weights-')), 'model.json');
  writeFileSync(file, '{}');
  return file;
}

const beside = (file: string, name: string) => join(file, '..', name);

async function readWeightBytes(weight: StoredWeight): Promise<Uint8Array> {
  const bytes = new Uint8Array(weight.bytes);
  await readWeight(weight, bytes);
  return bytes;
}

function refused(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof TandemError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

/** Weights as rows of 1-byte values. */
const bools = (...sizes: readonly number[]) =>
  sizes.map((size, n) => ({ name: `w${n}`, shape: [size], dtype: 'bool' }));

test('any weights in shards of any sizes: each weight is its own run of bytes', async () => {
  const file = modelFile();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(9), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 7 }),
      async (sizes, shardBytes) => {
        const bytes = Uint8Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, n) => n);
        const paths: string[] = [];
        for (let at = 0; at < bytes.length; at += shardBytes) {
          paths.push(`s${paths.length}`);
          writeFileSync(beside(file, paths.at(-1)!), bytes.subarray(at, at + shardBytes));
        }
        const weights = await readWeightsManifest(file, [{ paths, weights: bools(...sizes) }]);
        let at = 0;
        for (const [n, size] of sizes.entries()) {
          assert.deepEqual(await readWeightBytes(weights.get(`w${n}`)!), bytes.slice(at, at + size));
          at += size;
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('sizes follow the stored type: quantised weights are smaller, strings tell their own length', async () => {
  const file = modelFile();
  const text = Buffer.concat(
    ['ab', '', 'xyz'].map((value) =>
      Buffer.concat([Buffer.from(Uint32Array.of(value.length).buffer), Buffer.from(value)]),
    ),
  );
  writeFileSync(beside(file, 'a.bin'), Buffer.concat([Buffer.alloc(3), Buffer.alloc(4), text, Buffer.alloc(8)]));
  const weights = await readWeightsManifest(file, [
    {
      paths: ['a.bin'],
      weights: [
        { name: 'small', shape: [3], dtype: 'float32', quantization: { dtype: 'uint8', min: 0, scale: 1 } },
        { name: 'half', shape: [2], dtype: 'float32', quantization: { dtype: 'float16' } },
        { name: 'words', shape: [3], dtype: 'string' },
        { name: 'whole', shape: [2], dtype: 'float32' },
      ],
    },
  ]);
  assert.deepEqual(
    [...weights.values()].map(({ name, bytes }) => [name, bytes]),
    [
      ['small', 3],
      ['half', 4],
      ['words', 17],
      ['whole', 8],
    ],
  );
  assert.deepEqual(Buffer.from(await readWeightBytes(weights.get('words')!)), text);
});

test('weights of an optimizer are passed over, and none is no weights', async () => {
  const file = modelFile();
  writeFileSync(beside(file, 'a.bin'), Uint8Array.of(1, 2, 3));
  const specs = [...bools(2), { name: 'step', shape: [1], dtype: 'bool', group: 'optimizer' }];
  assert.deepEqual([...(await readWeightsManifest(file, [{ paths: ['a.bin'], weights: specs }])).keys()], ['w0']);
  assert.equal((await readWeightsManifest(file, undefined)).size, 0);
});

test('a shard that is missing or short is named, with the bytes that are and should be there', async () => {
  const file = modelFile();
  await refused(
    readWeightsManifest(file, [{ paths: ['gone.bin'], weights: [] }]),
    'TANDEM_WEIGHTS_MISSING',
    /gone\.bin/,
  );
  mkdirSync(beside(file, 'folder'));
  await refused(
    readWeightsManifest(file, [{ paths: ['folder'], weights: [] }]),
    'TANDEM_WEIGHTS_MISSING',
    /folder is not a file/,
  );
  writeFileSync(beside(file, 'a.bin'), Buffer.alloc(5));
  const specs = [{ name: 'w', shape: [2], dtype: 'float32' }];
  await refused(
    readWeightsManifest(file, [{ paths: ['a.bin'], weights: specs }]),
    'TANDEM_WEIGHTS_SHORT',
    /w ends at byte 8, but a\.bin \(5 bytes\) holds 5/,
  );
  const words = [{ name: 'w', shape: [9], dtype: 'string' }];
  await refused(readWeightsManifest(file, [{ paths: ['a.bin'], weights: words }]), 'TANDEM_WEIGHTS_SHORT', /a\.bin/);
});

test('a shard that shrinks after it was looked at is not read as zeros', async () => {
  const file = modelFile();
  writeFileSync(beside(file, 'a.bin'), Buffer.alloc(8, 1));
  const weights = await readWeightsManifest(file, [{ paths: ['a.bin'], weights: bools(8) }]);
  truncateSync(beside(file, 'a.bin'), 3);
  await refused(readWeightBytes(weights.get('w0')!), 'TANDEM_WEIGHTS_SHORT', /changed while it was read/);
});

test('a path that leaves the folder is refused, whatever way it takes', async () => {
  const file = modelFile();
  const outside = join(mkdtempSync(join(tmpdir(), 'tandem-outside-')), 'secret');
  writeFileSync(outside, 'x');
  symlinkSync(outside, beside(file, 'link.bin'));
  symlinkSync(join(outside, '..'), beside(file, 'linked'));
  const paths = [
    outside,
    '../a.bin',
    'x/../../a.bin',
    'a\0.bin',
    '..\\a.bin',
    'https://host/a.bin',
    'file:///etc/passwd',
    'C:a.bin',
    '',
    '..',
    'link.bin',
    'linked/secret',
    '.',
  ];
  for (const path of paths) {
    await refused(
      readWeightsManifest(file, [{ paths: [path], weights: [] }]),
      'TANDEM_WEIGHTS_ESCAPE',
      /leaves the model's folder/,
    );
  }
});

test('a link to a file inside the folder is as good as the file', async () => {
  const file = modelFile();
  mkdirSync(beside(file, 'blobs'));
  writeFileSync(beside(file, 'blobs/a'), Uint8Array.of(7));
  symlinkSync('blobs/a', beside(file, 'a.bin'));
  const weights = await readWeightsManifest(file, [{ paths: ['./a.bin'], weights: bools(1) }]);
  assert.deepEqual(await readWeightBytes(weights.get('w0')!), Uint8Array.of(7));
});

test('a damaged manifest is refused before anything is opened', async () => {
  const file = modelFile();
  const spec = (over: object) => [{ paths: [], weights: [{ name: 'w', shape: [1], dtype: 'float32', ...over }] }];
  const damaged: [unknown, RegExp][] = [
    ['weights', /weightsManifest/],
    [[{ weights: [] }], /paths/],
    [spec({ name: '' }), /name/],
    [spec({ shape: [-1] }), /shape/],
    [spec({ shape: [1.5] }), /shape/],
    [spec({ shape: undefined }), /shape/],
    [spec({ dtype: 'float8' }), /dtype/],
    [spec({ quantization: { dtype: 'uint8' } }), /min and scale/],
    [spec({ shape: [2 ** 30, 2 ** 30] }), /not a size/],
    [spec({ shape: [2 ** 26, 2 ** 26] }), /no file can have/],
    [[{ paths: [], weights: [...bools(0), ...bools(0)] }], /w0 is listed twice/],
  ];
  for (const [manifest, message] of damaged)
    await refused(readWeightsManifest(file, manifest), 'TANDEM_MODEL_INVALID', message);
});

test('names are only names: __proto__ and constructor are weights like others', async () => {
  const file = modelFile();
  writeFileSync(beside(file, 'a.bin'), Uint8Array.of(1, 2));
  const specs = ['__proto__', 'constructor'].map((name) => ({ name, shape: [1], dtype: 'bool' }));
  const weights = await readWeightsManifest(file, [{ paths: ['a.bin'], weights: specs }]);
  assert.deepEqual([...weights.keys()], ['__proto__', 'constructor']);
  assert.deepEqual(await readWeightBytes(weights.get('constructor')!), Uint8Array.of(2));
});
