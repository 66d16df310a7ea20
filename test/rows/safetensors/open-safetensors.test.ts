/** Rows from safetensors: every type that a model takes, any first row, and files that are damaged or no safetensors. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { openSource } from '../../../src/rows/open-source.js';
import { headerOf, parseHeader } from '../../../src/rows/safetensors/header.js';
import { byteCount, DTYPES } from '../../../src/tensor.js';
import { floatBytes } from '../../fixtures/npy-bytes.js';
import { inputSpec, readAll } from '../../fixtures/rows-read.js';
import { safetensorsBytes } from '../../fixtures/safetensors-bytes.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const bytesOf = (array: NodeJS.TypedArray) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const X = { dtype: 'F32', shape: [3, 2], data: floatBytes(1, 2, 3, 4, 5, 6) };

test('tensors feed the inputs of their names, converted where every value is exact, from any first row', async (t) => {
  const path = tempFolder(t)('rows.safetensors');
  const tensors = {
    label: { dtype: 'F8_E4M3', shape: [3], data: new Uint8Array(3) },
    ids: { dtype: 'I32', shape: [3], data: bytesOf(Int32Array.of(7, 8, 9)) },
    x: X,
    half: { dtype: 'BF16', shape: [3, 1], data: bytesOf(Uint16Array.of(0x3f80, 0xc000, 0x4049)) },
    flag: { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 2) },
  };
  writeFileSync(path, safetensorsBytes(tensors));
  const specs = [
    inputSpec('x', 'float32', 2),
    inputSpec('ids', 'int64'),
    inputSpec('half', 'float32', null),
    inputSpec('flag', 'bool'),
  ];
  const all = await readAll(await openSource(path, specs));
  assert.deepEqual(all.values, [
    [1, 2, 3, 4],
    [7n, 8n],
    [1, -2],
    [1, 0],
  ]);
  assert.deepEqual(
    all.failures.map(({ index, message }) => [index, message]),
    [[2, 'flag is the byte 2, but a bool is 0 or 1']],
  );
  const later = await readAll(await openSource(path, specs.slice(0, 1), { firstRow: 2 }));
  assert.deepEqual(later.values, [[5, 6]]);
  await assert.rejects(openSource(path, [inputSpec('label', 'float32')]), {
    code: 'TANDEM_INPUT_INVALID',
    message: /rows\.safetensors \(label\) has the type F8_E4M3, which no model takes/,
    remedy: /load_file.*astype\(np\.float32\)/,
  });
  await assert.rejects(openSource(path, [inputSpec('y', 'float32')]), {
    code: 'TANDEM_INPUT_INVALID',
    message: /has no tensor "y"; it has label, ids, x, half, flag/,
  });
});

test('the only tensor feeds the only input; a tensor without rows is refused', async (t) => {
  const path = tempFolder(t)('rows.safetensors');
  writeFileSync(path, safetensorsBytes({ anything: X }));
  assert.deepEqual((await readAll(await openSource(path, [inputSpec('x', 'float32', 2)]))).values, [
    [1, 2, 3, 4, 5, 6],
  ]);
  writeFileSync(path, safetensorsBytes({ x: { dtype: 'F32', shape: [0, 2], data: new Uint8Array() } }));
  await assert.rejects(openSource(path, [inputSpec('x', 'float32', 2)]), { code: 'TANDEM_INPUT_EMPTY' });
  writeFileSync(path, safetensorsBytes({ x: { dtype: 'F32', shape: [], data: floatBytes(1) } }));
  await assert.rejects(openSource(path, [inputSpec('x', 'float32')]), { code: 'TANDEM_INPUT_INVALID' });
});

const entry = (from: number, to: number, more: object = {}) =>
  JSON.stringify({ x: { dtype: 'F32', shape: [3, 2], data_offsets: [from, to], ...more } });

for (const [what, bytes, says] of [
  ['empty', Buffer.alloc(0), /it is too short/],
  ['a length alone', Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]), /claims a header of 8 bytes and has 8 bytes in all/],
  ['a length past 2^53', Buffer.from('ffffffffffffffff7b7d', 'hex'), /claims a header of 18446744073709551615 bytes/],
  ['no JSON', safetensorsBytes({ x: X }, '{"x": '), /JSON/],
  ['no UTF-8', Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('7bff7d', 'hex')]), /valid/],
  ['an entry that is none', safetensorsBytes({ x: X }, '{"x":{"dtype":"F32"}}'), /entry of tensor "x"/],
  ['an unknown type', safetensorsBytes({ x: X }, entry(0, 24, { dtype: 'F31' })), /type F31, which is not known/],
  ['another size', safetensorsBytes({ x: X }, entry(0, 20)), /is F32 \[3, 2\] and lies in 20 bytes/],
  ['a size past all', safetensorsBytes({ x: X }, entry(0, 24, { shape: [2 ** 50, 2 ** 50] })), /and lies in 24 bytes/],
  ['a hole', safetensorsBytes({ x: X }, entry(4, 28)), /begins at byte 4 of the data, and byte 0 is next/],
  ['cut data', safetensorsBytes({ x: X }).subarray(0, -1), /need 24 bytes and it has 23: it was cut short/],
  ['bytes after', Buffer.concat([safetensorsBytes({ x: X }), Buffer.from('z')]), /1 bytes follow its last tensor/],
] as const) {
  test(`a damaged file is refused by code: ${what}`, async (t) => {
    const path = tempFolder(t)('rows.safetensors');
    writeFileSync(path, bytes);
    await assert.rejects(openSource(path, [inputSpec('x', 'float32', 2)]), {
      code: 'TANDEM_INPUT_INVALID',
      message: says,
    });
  });
}

test('files cut at any place and files with changed bytes are read whole, or refused by code', async (t) => {
  const path = tempFolder(t)('rows.safetensors');
  const whole = safetensorsBytes({
    x: X,
    y: { dtype: 'I64', shape: [3], data: bytesOf(BigInt64Array.of(1n, 2n, 3n)) },
  });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
      async (cut, flips) => {
        const damaged = Buffer.from(flips.length === 0 ? whole.subarray(0, cut) : whole);
        for (const [at, bits] of flips) damaged[at]! ^= bits;
        writeFileSync(path, damaged);
        await openSource(path, [inputSpec('x', 'float32', null), inputSpec('y', 'int64')]).then(
          async (source) => assert.equal((await readAll(source)).rows, 3),
          (error) => assert.match(error.code ?? String(error.stack), /^TANDEM_INPUT_(INVALID|EMPTY)$/),
        );
      },
    ),
    { numRuns: 400 },
  );
});

test('a header has one length for any number of rows, and is read back with its tensors one after another', () => {
  const spec = fc.record({
    name: fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...DTYPES),
    rowShape: fc.array(fc.nat(9), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(spec, { selector: ({ name }) => name, minLength: 1, maxLength: 4 }),
      fc.nat(),
      (specs, rows) => {
        const all = specs.map((one) => ({ ...one, bytes: byteCount(one.dtype, [rows, ...one.rowShape]) }));
        const header = headerOf(all, rows, all);
        assert.equal(headerOf(all.slice(0, 1), 0, all).length, header.length);
        assert.equal(header.length % 64, 0);
        const data = all.reduce((sum, { bytes }) => sum + bytes, 0);
        const found = parseHeader(header.subarray(8), data);
        assert.deepEqual(
          [...found].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
          Object.keys(Object.fromEntries(all.map(({ name }) => [name, 0]))).map((name) => {
            const { dtype, rowShape } = all.find((one) => one.name === name)!;
            return { name, dtype, shape: [rows, ...rowShape] };
          }),
        );
      },
    ),
  );
});
