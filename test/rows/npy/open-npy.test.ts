/** Rows from NPY files and streams. */
import assert from 'node:assert/strict';
import { openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { openSource } from '../../../src/rows/open-source.js';
import type { DType, TensorSpec } from '../../../src/tensor.js';
import { floatBytes, npyBytes, npyWithHeader } from '../../fixtures/npy-bytes.js';
import { inputSpec, readAll, tensorsFor } from '../../fixtures/rows-read.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const X = inputSpec('x', 'float32', 2);
const SIX_ROWS = npyBytes({ descr: '<f4', shape: [6, 2], data: floatBytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) });

test('rows, specs and values', async (t) => {
  const path = tempFolder(t)('rows.npy');
  writeFileSync(path, SIX_ROWS);
  const source = await openSource(path, [inputSpec('x', 'float32', null)]);
  assert.equal(source.rows, 6);
  assert.deepEqual(source.rowSpecs, [{ name: 'x', dtype: 'float32', shape: [2] }]);
  const all = await readAll(source, 4);
  assert.deepEqual(all.values, [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]);
  assert.equal(all.ids, null);
  assert.deepEqual(all.failures, []);
});

test('a read fills the requested rows and leaves the rest unchanged', async (t) => {
  const path = tempFolder(t)('rows.npy');
  writeFileSync(path, SIX_ROWS);
  const source = await openSource(path, [X], { firstRow: 4 });
  const [tensor] = tensorsFor(source, 3);
  (tensor!.data as Float32Array).fill(77);
  assert.equal((await source.read([tensor!])).rows, 2);
  assert.deepEqual([...tensor!.data], [8, 9, 10, 11, 77, 77]);
  assert.equal((await source.read([tensor!])).rows, 0);
  await source.close();
  await source.close();
});

test('several files, one for each input', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('ids.npy'), npyBytes({ descr: '<i4', shape: [2], data: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0) }));
  writeFileSync(at('mask.npy'), npyBytes({ descr: '|b1', shape: [2, 1], data: Uint8Array.of(1, 0) }));
  const specs = [inputSpec('mask', 'bool', 1), inputSpec('ids', 'int32')];
  const paths = new Map([
    ['ids', at('ids.npy')],
    ['mask', at('mask.npy')],
  ]);
  const all = await readAll(await openSource(paths, specs));
  assert.deepEqual(all.values, [
    [1, 0],
    [1, 2],
  ]);
  await assert.rejects(openSource(new Map([['ids', at('ids.npy')]]), specs), {
    code: 'TANDEM_INPUT_INVALID',
    message: 'no file is given for input "mask"',
  });
  await assert.rejects(openSource(new Map([...paths, ['msk', at('mask.npy')]]), specs), {
    message: 'the model has no input "msk"',
    remedy: 'did you mean mask?',
  });
  await assert.rejects(openSource(at('ids.npy'), specs), {
    code: 'TANDEM_INPUT_INVALID',
    remedy: 'give one file for each: --input mask=mask.npy --input ids=ids.npy; or all in one .npz',
  });
  await assert.rejects(openSource(new Map([['ids', 'rows.jsonl']]), specs), { code: 'TANDEM_USAGE' });
  writeFileSync(at('mask.npy'), npyBytes({ descr: '|b1', shape: [3, 1], data: Uint8Array.of(1, 0, 0) }));
  await assert.rejects(openSource(paths, specs), {
    code: 'TANDEM_INPUT_INVALID',
    message: 'the inputs have different numbers of rows: mask 3, ids 2',
  });
});

test('types that convert without loss, either byte order', async (t) => {
  const path = tempFolder(t)('rows.npy');
  const cases: [string, number[], DType, (number | bigint)[]][] = [
    ['>f4', [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], 'float32', [1, -2]],
    [
      '<f8',
      [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f],
      'float32',
      [1, Math.fround(0.1)],
    ],
    ['>f2', [0x3c, 0, 0xc0, 0], 'float32', [1, -2]],
    ['<f2', [0, 0x3c, 0, 0xc0], 'float64', [1, -2]],
    ['<f2', [0, 0x3c, 0, 0xc0], 'float16', [0x3c00, 0xc000]],
    ['|i1', [0xff, 5], 'int32', [-1, 5]],
    ['|u1', [0xff, 5], 'int16', [255, 5]],
    ['|u1', [0xff, 5], 'float32', [255, 5]],
    ['>i2', [0xff, 0xfe, 0, 5], 'float32', [-2, 5]],
    ['>i4', [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5], 'float64', [-1, 5]],
    ['>i2', [0xff, 0xfe, 0, 5], 'int32', [-2, 5]],
    ['>u2', [0xff, 0xfe, 0, 5], 'uint16', [0xfffe, 5]],
    ['<i8', [5, 0, 0, 0, 0, 0, 0, 0, ...new Array(8).fill(0xff)], 'int32', [5, -1]],
    ['>i4', [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5], 'int64', [-1n, 5n]],
    ['|b1', [1, 0], 'bool', [1, 0]],
    ['<u8', [...new Array(8).fill(0xff), 5, 0, 0, 0, 0, 0, 0, 0], 'uint64', [2n ** 64n - 1n, 5n]],
  ];
  for (const [descr, bytes, dtype, expected] of cases) {
    writeFileSync(path, npyBytes({ descr, shape: [2], data: Uint8Array.from(bytes) }));
    const all = await readAll(await openSource(path, [inputSpec('x', dtype)]));
    assert.deepEqual(all.values[0], expected, `${descr} to ${dtype}`);
    assert.deepEqual(all.failures, []);
  }
});

test('other types are refused with both names and the line that converts', async (t) => {
  const path = tempFolder(t)('rows.npy');
  writeFileSync(path, npyBytes({ descr: '<i4', shape: [2], data: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0) }));
  await assert.rejects(openSource(path, [inputSpec('x', 'float32')]), {
    code: 'TANDEM_INPUT_INVALID',
    message: `${path} is int32, but input "x" takes float32`,
    remedy: `in Python: np.save(${JSON.stringify(path.replace('.npy', '.fixed.npy'))}, np.load(${JSON.stringify(path)}).astype(np.float32))`,
  });
  await assert.rejects(openSource(path, [inputSpec('x', 'bfloat16')]), { remedy: /JSON lines/ });
});

test('bad rows fail alone and are not written', async (t) => {
  const path = tempFolder(t)('rows.npy');
  writeFileSync(
    path,
    npyBytes({
      descr: '<f4',
      shape: [6, 2],
      data: floatBytes(1, 2, Number.NaN, 4, 5, 6, 7, Number.NEGATIVE_INFINITY, 8, 9, Number.POSITIVE_INFINITY, 7),
    }),
  );
  const all = await readAll(await openSource(path, [X]), 2);
  assert.deepEqual(all.values, [[1, 2, 5, 6, 8, 9]]);
  assert.deepEqual(all.failures, [
    { index: 1, id: 1, code: 'TANDEM_ROW_NOT_FINITE', message: 'x[0] is NaN' },
    { index: 3, id: 3, code: 'TANDEM_ROW_NOT_FINITE', message: 'x[1] is -Infinity' },
    { index: 5, id: 5, code: 'TANDEM_ROW_NOT_FINITE', message: 'x[0] is Infinity' },
  ]);
});

test('values beyond the type of the model are errors', async (t) => {
  const path = tempFolder(t)('rows.npy');
  const long = BigInt64Array.of(1n, 2n ** 31n, -(2n ** 31n));
  writeFileSync(path, npyBytes({ descr: '<i8', shape: [3], data: new Uint8Array(long.buffer) }));
  const whole = await readAll(await openSource(path, [inputSpec('x', 'int32')]));
  assert.deepEqual(whole.values, [[1, -(2 ** 31)]]);
  assert.deepEqual(whole.failures, [
    { index: 1, id: 1, code: 'TANDEM_ROW_TYPE', message: 'x is 2147483648, beyond the range of int32' },
  ]);
  const double = Float64Array.of(1e300, Number.NEGATIVE_INFINITY, Number.NaN);
  writeFileSync(path, npyBytes({ descr: '<f8', shape: [3, 1, 1], data: new Uint8Array(double.buffer) }));
  const real = await readAll(await openSource(path, [inputSpec('x', 'float32', 1, null)]));
  assert.deepEqual(real.values, [[]]);
  assert.deepEqual(
    real.failures.map(({ message }) => message),
    ['x[0][0] is 1e+300, too large for float32', 'x[0][0] is -Infinity', 'x[0][0] is NaN'],
  );
  writeFileSync(path, npyBytes({ descr: '|b1', shape: [2], data: Uint8Array.of(1, 7) }));
  const bool = await readAll(await openSource(path, [inputSpec('x', 'bool')]));
  assert.deepEqual(bool.failures[0]?.message, 'x is the byte 7, but a bool is 0 or 1');
  writeFileSync(path, npyBytes({ descr: '<f2', shape: [2], data: Uint8Array.of(0, 0x7e, 0, 0x7c) }));
  const half = await readAll(await openSource(path, [inputSpec('x', 'float16')]));
  assert.deepEqual(
    half.failures.map(({ message }) => message),
    ['x is NaN', 'x is Infinity'],
  );
});

test('a row fails as a whole, in every input', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('a.npy'), npyBytes({ descr: '<f4', shape: [2], data: floatBytes(Number.NaN, 2) }));
  writeFileSync(at('b.npy'), npyBytes({ descr: '|u1', shape: [2], data: Uint8Array.of(8, 9) }));
  const paths = new Map([
    ['a', at('a.npy')],
    ['b', at('b.npy')],
  ]);
  const all = await readAll(await openSource(paths, [inputSpec('a', 'float32'), inputSpec('b', 'uint8')]));
  assert.deepEqual(all.values, [[2], [9]]);
});

test('wrong shapes', async (t) => {
  const path = tempFolder(t)('rows.npy');
  const open = (shape: number[], ...specs: TensorSpec[]) => {
    writeFileSync(path, npyBytes({ descr: '<f4', shape, data: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)) }));
    return openSource(path, specs);
  };
  await assert.rejects(open([6, 3], X), {
    code: 'TANDEM_INPUT_INVALID',
    message: `${path} is float32 [6, 3], but input "x" takes float32 [?, 2]`,
  });
  await assert.rejects(open([2], X), { code: 'TANDEM_INPUT_INVALID', remedy: /if this is one row: .*\[None\]/ });
  await assert.rejects(open([], inputSpec('x', 'float32')), { code: 'TANDEM_INPUT_INVALID', remedy: /\[None\]/ });
  await assert.rejects(open([6, 2, 1], X), { code: 'TANDEM_INPUT_INVALID' });
  await assert.rejects(open([0, 2], X), { code: 'TANDEM_INPUT_EMPTY' });
  await assert.rejects(open([6], { name: 'x', dtype: 'float32', shape: [] }), { code: 'TANDEM_MODEL_UNSUPPORTED' });
});

test('the size of the file is compared with the header before rows are read', async (t) => {
  const path = tempFolder(t)('rows.npy');
  for (const cut of [1, 8, 47]) {
    writeFileSync(path, SIX_ROWS.subarray(0, SIX_ROWS.length - cut));
    await assert.rejects(openSource(path, [X]), {
      code: 'TANDEM_INPUT_INVALID',
      message: `${path} needs 48 bytes for its rows and has ${48 - cut}: it was truncated`,
    });
  }
  for (const kept of [0, 5, 9, 40]) {
    writeFileSync(path, SIX_ROWS.subarray(0, kept));
    await assert.rejects(openSource(path, [X]), { code: 'TANDEM_INPUT_INVALID', message: /ends inside its header/ });
  }
  writeFileSync(path, Buffer.concat([SIX_ROWS, SIX_ROWS]));
  await assert.rejects(openSource(path, [X]), {
    code: 'TANDEM_INPUT_INVALID',
    message: /other data follows the array/,
  });
  const huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740991, 9007199254740991, 4096), }";
  writeFileSync(path, npyWithHeader(huge, floatBytes(1)));
  await assert.rejects(openSource(path, [inputSpec('x', 'float32', null, null)]), { code: 'TANDEM_INPUT_INVALID' });
});

test('a file that shrinks while it is read is an error', async (t) => {
  const path = tempFolder(t)('rows.npy');
  writeFileSync(path, SIX_ROWS);
  const source = await openSource(path, [X]);
  truncateSync(path, SIX_ROWS.length - 20);
  await assert.rejects(readAll(source), { code: 'TANDEM_INPUT_CHANGED', message: /truncated while it was read/ });
});

test('a file of gigabytes is read by range: first, middle and last rows', async (t) => {
  const path = tempFolder(t)('rows.npy');
  const width = 1 << 18; // A row is one MiB.
  const rows = 6 << 10;
  const header = npyBytes({ descr: '<f4', shape: [rows, width], data: new Uint8Array(0) });
  const fd = openSync(path, 'w');
  writeSync(fd, header);
  for (const row of [0, rows / 2, rows - 1])
    writeSync(fd, floatBytes(row + 0.5), 0, 4, header.length + row * width * 4);
  truncateSync(path, header.length + rows * width * 4);
  const before = process.memoryUsage().arrayBuffers;
  for (const firstRow of [0, rows / 2, rows - 1]) {
    const source = await openSource(path, [inputSpec('x', 'float32', null)], { firstRow });
    assert.equal(source.rows, rows);
    const into = tensorsFor(source, 2);
    const read = await source.read(into);
    assert.equal(read.rows, firstRow === rows - 1 ? 1 : 2);
    assert.equal(into[0]!.data[0], firstRow + 0.5);
    assert.equal(into[0]!.data[1], 0);
    await source.close();
  }
  assert(process.memoryUsage().arrayBuffers - before < 32 << 20);
});

test('NPY on stdin in any chunks', async () => {
  for (let at = 0; at <= SIX_ROWS.length; at++) {
    const stdin = Readable.from([SIX_ROWS.subarray(0, at), SIX_ROWS.subarray(at)].filter(({ length }) => length > 0));
    const source = await openSource('-', [X], { format: 'npy', stdin });
    assert.equal(source.rows, 6);
    assert.deepEqual((await readAll(source, 4)).values, [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]);
    assert(stdin.destroyed);
  }
  const skipped = await openSource('-', [X], { format: 'npy', stdin: Readable.from([SIX_ROWS]), firstRow: 5 });
  assert.deepEqual((await readAll(skipped)).values, [[10, 11]]);
});

test('NPY on stdin with too few or too many bytes', async () => {
  const short = await openSource('-', [X], { format: 'npy', stdin: Readable.from([SIX_ROWS.subarray(0, -1)]) });
  await assert.rejects(readAll(short), { code: 'TANDEM_INPUT_CHANGED' });
  const long = await openSource('-', [X], { format: 'npy', stdin: Readable.from([SIX_ROWS, Buffer.of(1)]) });
  await assert.rejects(readAll(long), { code: 'TANDEM_INPUT_INVALID', message: /more bytes after its last row/ });
});
