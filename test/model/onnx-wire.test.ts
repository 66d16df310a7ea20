/** What the writer writes the walker reads, and no length leads out of the message that encloses it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { FileBytes } from '../../src/model/onnx/file-bytes.js';
import { fieldsOf, integersOf, textOf } from '../../src/model/onnx/wire.js';
import { WireWriter } from '../../src/model/onnx/wire-writer.js';
import { temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);
const path = join(folder.path, 'message');

/** Writes bytes as a file and opens it. */
function opened(bytes: Uint8Array): FileBytes {
  writeFileSync(path, bytes);
  return new FileBytes(path);
}

test('integers come back, negative ones too, and large ones stay large', () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 20 }), int64, (number, value) => {
      using file = opened(new WireWriter().integer(number, value).bytes());
      const [field] = [...fieldsOf(file, file.whole)];
      assert.equal(field!.number, number);
      if (Number.isSafeInteger(Number(value))) assert.equal(field!.value, Number(value));
      else assert.ok(Math.abs(field!.value) >= 2 ** 53 && field!.value < 0 === value < 0n);
    }),
  );
});

test('text comes back; what is not UTF-8 is refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      using file = opened(new WireWriter().text(1, text).bytes());
      assert.equal(textOf(file, [...fieldsOf(file, file.whole)][0]!), text);
    }),
  );
  using file = opened(new WireWriter().block(1, Uint8Array.of(0x61, 0xff)).bytes());
  assert.throws(() => textOf(file, [...fieldsOf(file, file.whole)][0]!), { code: 'TANDEM_MODEL_INVALID' });
});

test('packed numbers are read as those that stand one by one', () => {
  using file = opened(
    new WireWriter()
      .block(1, Uint8Array.of(1, 0x80, 1, 127))
      .integer(1, 5)
      .bytes(),
  );
  assert.deepEqual(
    [...fieldsOf(file, file.whole)].flatMap((field) => integersOf(file, field)),
    [1, 128, 127, 5],
  );
});

test('any bytes at all are fields or a coded error, and fields stay inside', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      using file = opened(bytes);
      try {
        for (const { start, from, to } of fieldsOf(file, file.whole)) {
          assert.ok(start < from && from <= to && to <= bytes.length);
        }
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'TANDEM_MODEL_INVALID');
      }
    }),
  );
});

test('a file larger than the window is read wherever a field lies', () => {
  const long = new Uint8Array(300_000).fill(7);
  const writer = new WireWriter();
  for (let n = 0; n < 4; n++) writer.block(1, long).text(2, `name ${n}`);
  using file = opened(writer.bytes());
  const texts = [...fieldsOf(file, file.whole)].filter(({ number }) => number === 2);
  assert.deepEqual(
    texts.map((field) => textOf(file, field)),
    ['name 0', 'name 1', 'name 2', 'name 3'],
  );
  assert.deepEqual(file.copy([...fieldsOf(file, file.whole)][2]!), long);
});
