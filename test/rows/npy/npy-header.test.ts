/** NPY headers: read from hostile bytes, written as NumPy reads them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamBytes } from '../../../src/rows/byte-reader.js';
import { npyLocation } from '../../../src/rows/npy/array-location.js';
import { type NpyHeader, npyHeader, readNpyHeader } from '../../../src/rows/npy/npy-header.js';
import { npyBytes, npyWithHeader } from '../../fixtures/npy-bytes.js';

function read(bytes: Uint8Array): Promise<NpyHeader> {
  const stream = (async function* () {
    yield bytes;
  })();
  return readNpyHeader(new StreamBytes(stream, 'rows.npy'), npyLocation('rows.npy'));
}

const NONE = Buffer.alloc(0);

test('all three versions, both byte orders', async () => {
  for (const version of [1, 2, 3] as const) {
    const header = await read(npyBytes({ descr: '<f4', shape: [2, 3], data: NONE, version }));
    assert.deepEqual(header, { dtype: 'float32', bigEndian: false, shape: [2, 3] });
  }
  assert.deepEqual(await read(npyBytes({ descr: '>i8', shape: [5], data: NONE })), {
    dtype: 'int64',
    bigEndian: true,
    shape: [5],
  });
  assert.equal((await read(npyBytes({ descr: '|b1', shape: [5], data: NONE }))).dtype, 'bool');
  assert.equal((await read(npyBytes({ descr: '<f2', shape: [5], data: NONE }))).dtype, 'float16');
});

test('the error about Fortran order gives the line that corrects it', async () => {
  await assert.rejects(read(npyBytes({ descr: '<f4', shape: [2, 3], data: NONE, fortran: true })), {
    code: 'TANDEM_INPUT_INVALID',
    message: /Fortran order/,
    remedy: 'in Python: np.save("rows.fixed.npy", np.ascontiguousarray(np.load("rows.npy")))',
  });
});

test('objects, records, text, complex numbers and dates are refused by name', async () => {
  for (const [descr, message] of [
    ['|O', /Python objects \(pickled: never read\)/],
    ['|V4', /raw records/],
    ['<U5', /strings/],
    ['|S3', /byte strings/],
    ['<c8', /complex numbers/],
    ['<M8[ns]', /dates/],
    ['<f16', /dtype <f16, which no model takes/],
    ['f4', /dtype f4/],
  ] as const) {
    await assert.rejects(read(npyBytes({ descr, shape: [2], data: NONE })), { code: 'TANDEM_INPUT_INVALID', message });
  }
  const structured = "{'descr': [('x', '<f4'), ('y', '<i4')], 'fortran_order': False, 'shape': (3,), }";
  await assert.rejects(read(npyWithHeader(structured, NONE)), { message: /structured records/ });
});

test('a file that is not NPY or has a damaged header is refused', async () => {
  const good = npyBytes({ descr: '<f4', shape: [2], data: NONE });
  const changed = (at: number, byte: number) => Buffer.from(good).fill(byte, at, at + 1);
  for (const bytes of [
    changed(0, 0x92),
    changed(6, 4),
    changed(6, 0),
    npyWithHeader("{'descr': '<f4', 'shape': (3,)}", NONE),
    npyWithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}", NONE),
    npyWithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", NONE),
    npyWithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': 3}", NONE),
    npyWithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", NONE),
    npyWithHeader("__import__('os').system('x')", NONE),
  ]) {
    await assert.rejects(read(bytes), { code: 'TANDEM_INPUT_INVALID', message: /^rows\.npy / });
  }
});

test('a header that claims to be huge is not read', async () => {
  const bytes = npyBytes({ descr: '<f4', shape: [2], data: NONE, version: 2 });
  bytes.writeUInt32LE(10_001, 8);
  await assert.rejects(read(bytes), { code: 'TANDEM_INPUT_INVALID', message: /header of 10001 bytes/ });
});

test('a written header has the bytes that NumPy expects, with room for any count', () => {
  const header = npyHeader('float32', [3, 4], 7);
  assert.equal(header.length, 128);
  assert.equal(header.toString('latin1', 0, 10), '\x93NUMPY\x01\x00v\x00');
  assert.equal(
    header.toString('latin1', 10),
    `${"{'descr': '<f4', 'fortran_order': False, 'shape': (7, 3, 4), }".padEnd(117)}\n`,
  );
  assert.match(npyHeader('bool', [], 7).toString('latin1'), /'\|b1'.*\(7,\)/);
  for (const shape of [[], [5], [1000, 1000, 1000, 1000], [10, 20, 30, 40, 50, 60]]) {
    const lengths = [0, 1, Number.MAX_SAFE_INTEGER].map((rows) => npyHeader('uint64', shape, rows).length);
    assert.deepEqual(lengths, [lengths[0], lengths[0], lengths[0]]);
    assert.equal(lengths[0]! % 128, 0);
  }
});

test('bfloat16 has no NPY', () => {
  assert.throws(() => npyHeader('bfloat16', [2], 1), { code: 'TANDEM_OUTPUT_UNSUPPORTED', remedy: /\.jsonl/ });
});
