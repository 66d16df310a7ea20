/** A manifest is read as it was written, or refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, manifestBytes, parseManifest, sealManifest } from '../../src/cluster/manifest.js';

const MANIFEST = sealManifest({
  fingerprint: { tandem: '1.0.0' },
  model: { path: '/m/model.onnx', hash: 'abc' },
  request: { model: '/m/model.onnx', input: ['/d/rows.jsonl'], output: '/d/out.npy', deadline: 600, keep: undefined },
  inputs: [{ path: '/d/rows.jsonl', bytes: 10, digest: '10 bytes' }],
  rows: 5,
  division: { microBatch: 2, lengths: null },
  shards: [
    { index: 0, firstRow: 0, rows: 4 },
    { index: 1, firstRow: 4, rows: 1, at: { file: 0, byte: 8, row: 4 } },
  ],
  output: { path: '/d/out.npy', format: 'npy' },
} as Omit<Manifest, 'id' | 'schema'>);

const parse = (value: unknown) => parseManifest(Buffer.from(JSON.stringify(value)), 'it');

test('what was written is read, and the id does not depend on the order of properties', () => {
  assert.deepEqual(parseManifest(manifestBytes(MANIFEST), 'it'), MANIFEST);
  const turned = Object.fromEntries(Object.entries(MANIFEST).reverse());
  assert.equal(parse(turned).id, MANIFEST.id);
});

test('a manifest that was changed, or whose ranges are not all the rows, is refused', () => {
  const damaged = { code: 'TANDEM_SHARDS_DAMAGED' };
  assert.throws(() => parse({ ...MANIFEST, rows: 6 }), damaged);
  assert.throws(() => parse({ ...MANIFEST, extra: 1 }), damaged);
  assert.throws(() => parse({ ...MANIFEST, shards: [] }), damaged);
  assert.throws(() => parseManifest(Buffer.from('{"schema":1'), 'it'), damaged);
  const { id: _, schema: __, ...rest } = MANIFEST;
  const gap = sealManifest({ ...rest, shards: [MANIFEST.shards[0]!, { index: 1, firstRow: 3, rows: 2 }] });
  assert.throws(() => parse(gap), { ...damaged, message: /shard 1 does not begin/ });
  const short = sealManifest({ ...rest, rows: 7 });
  assert.throws(() => parse(short), { ...damaged, message: /have 5 rows, and the input has 7/ });
});
