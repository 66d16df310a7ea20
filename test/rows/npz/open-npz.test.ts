/** Rows from NPZ archives, valid ones and hostile ones. */
import assert from 'node:assert/strict';
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { openSource } from '../../../src/rows/open-source.js';
import { floatBytes, npyBytes } from '../../fixtures/npy-bytes.js';
import { inputSpec, readAll, tensorsFor } from '../../fixtures/rows-read.js';
import { tempFolder } from '../../fixtures/temp-folder.js';
import { zipBytes } from '../../fixtures/zip-bytes.js';

const X = inputSpec('x', 'float32', 2);
const ROWS_2X2 = npyBytes({ descr: '<f4', shape: [2, 2], data: floatBytes(1, 2, 3, 4) });
const MASK_2 = npyBytes({ descr: '|b1', shape: [2], data: Uint8Array.of(0, 1) });
const X_AND_MASK = [X, inputSpec('mask', 'bool')];

for (const deflate of [false, true]) {
  for (const zip64 of [false, true]) {
    test(`members ${deflate ? 'deflated' : 'stored'}${zip64 ? ', ZIP64' : ''}`, async (t) => {
      const path = tempFolder(t)('rows.npz');
      writeFileSync(
        path,
        zipBytes(
          [
            { name: 'labels.npy', data: MASK_2, deflate, zip64 },
            { name: 'mask.npy', data: MASK_2, deflate, zip64 },
            { name: 'x.npy', data: ROWS_2X2, deflate, zip64 },
          ],
          'a comment',
        ),
      );
      const source = await openSource(path, X_AND_MASK);
      assert.equal(source.rows, 2);
      assert.deepEqual((await readAll(source, 1)).values, [
        [1, 2, 3, 4],
        [0, 1],
      ]);
      const later = await openSource(path, X_AND_MASK, { firstRow: 1 });
      assert.deepEqual((await readAll(later)).values, [[3, 4], [1]]);
    });
  }
}

test('the only member feeds the only input under any name', async (t) => {
  const path = tempFolder(t)('rows.npz');
  writeFileSync(path, zipBytes([{ name: 'arr_0.npy', data: ROWS_2X2 }]));
  assert.deepEqual((await readAll(await openSource(path, [X]))).values, [[1, 2, 3, 4]]);
  await assert.rejects(openSource(path, X_AND_MASK), {
    code: 'TANDEM_INPUT_INVALID',
    message: `${path} has no array "x"; it has arr_0`,
  });
  writeFileSync(path, zipBytes([{ name: 'readme.txt', data: Buffer.from('hello') }]));
  await assert.rejects(openSource(path, [X]), { message: `${path} has no array "x"; it has none` });
});

test('a damaged member is found by its checksum, at the latest after its last row', async (t) => {
  const path = tempFolder(t)('rows.npz');
  for (const deflate of [false, true]) {
    writeFileSync(path, zipBytes([{ name: 'x.npy', data: ROWS_2X2, deflate, crc: 12345 }]));
    await assert.rejects(readAll(await openSource(path, [X])), {
      code: 'TANDEM_INPUT_INVALID',
      message: `${path} cannot be read as NPZ: x.npy is damaged (its checksum is wrong)`,
    });
  }
});

test('no flipped or missing byte is a crash, a hang, or other rows than were written', async (t) => {
  const path = tempFolder(t)('rows.npz');
  const good = zipBytes([{ name: 'x.npy', data: ROWS_2X2, deflate: true, zip64: true }]);
  const attempts = [
    ...Array.from(good, (byte, at) => Buffer.from(good).fill(byte ^ 0xff, at, at + 1)),
    ...Array.from(good, (_, length) => good.subarray(0, length)),
  ];
  for (const [n, bytes] of attempts.entries()) {
    writeFileSync(path, bytes);
    try {
      const { values } = await readAll(await openSource(path, [X]));
      assert.deepEqual(values, [[1, 2, 3, 4]], `attempt ${n}`);
    } catch (error) {
      const { code } = error as { code?: string };
      assert(code === 'TANDEM_INPUT_INVALID' || code === 'TANDEM_INPUT_CHANGED', `attempt ${n}: ${error}`);
    }
  }
});

test('what no zip reader should follow', async (t) => {
  const path = tempFolder(t)('rows.npz');
  const rejects = async (bytes: Buffer, message: RegExp) => {
    writeFileSync(path, bytes);
    await assert.rejects(openSource(path, [X]), { code: 'TANDEM_INPUT_INVALID', message });
  };
  await rejects(Buffer.from('not a zip at all, but long enough to look for an end record'), /no zip archive/);
  await rejects(Buffer.alloc(0), /no zip archive/);
  await rejects(zipBytes([{ name: 'x.npy', data: ROWS_2X2, flags: 1 }]), /encrypted/);
  await rejects(zipBytes([{ name: 'x.npy', data: ROWS_2X2, method: 12 }]), /packed by method 12/);
  await rejects(zipBytes([{ name: 'x.npy', data: ROWS_2X2, size: 10_000 }]), /stored, yet changes its size/);
  await rejects(zipBytes([{ name: 'x.npy', data: ROWS_2X2, deflate: true, size: 2 ** 31 }]), /more than deflate can/);
  const claims = zipBytes([{ name: 'x.npy', data: ROWS_2X2 }]);
  claims.writeUInt16LE(60_000, claims.length - 12);
  await rejects(claims, /claims 60000 members/);
});

test('a member that unpacks to more or less than its declared size', async (t) => {
  const path = tempFolder(t)('rows.npz');
  const longer = Buffer.concat([ROWS_2X2, Buffer.of(9)]);
  writeFileSync(path, zipBytes([{ name: 'x.npy', data: longer, deflate: true, size: ROWS_2X2.length }]));
  await assert.rejects(readAll(await openSource(path, [X])), { code: 'TANDEM_INPUT_INVALID' });
  const shorter = ROWS_2X2.subarray(0, -1);
  writeFileSync(path, zipBytes([{ name: 'x.npy', data: shorter, deflate: true, size: ROWS_2X2.length }]));
  await assert.rejects(readAll(await openSource(path, [X])), { code: 'TANDEM_INPUT_CHANGED' });
});

test('a row near the end of a stored member past 4 GiB', async (t) => {
  const path = tempFolder(t)('rows.npz');
  const width = 1 << 20;
  const rows = 5 << 8; // 5 GiB, all holes but for the ends.
  const header = npyBytes({ descr: '<f4', shape: [rows, width], data: new Uint8Array(0) });
  const bytes = header.length + rows * width * 4;
  const archive = zipBytes([{ name: 'x.npy', data: header, zip64: true }]);
  // The member's data are put between its header and the directory; sizes and offsets follow.
  const dataAt = 30 + 'x.npy'.length + 7;
  const table = Buffer.from(archive.subarray(dataAt + header.length));
  const sizes = 46 + 'x.npy'.length + 4;
  table.writeBigUInt64LE(BigInt(bytes), sizes);
  table.writeBigUInt64LE(BigInt(bytes), sizes + 8);
  const end64 = sizes + 24;
  table.writeBigUInt64LE(BigInt(dataAt + bytes), end64 + 48);
  table.writeBigUInt64LE(BigInt(dataAt + bytes + end64), end64 + 56 + 8);
  const fd = openSync(path, 'w');
  writeSync(fd, archive.subarray(0, dataAt));
  writeSync(fd, header, 0, header.length, dataAt);
  writeSync(fd, floatBytes(42), 0, 4, dataAt + header.length + (rows - 1) * width * 4);
  writeSync(fd, table, 0, table.length, dataAt + bytes);
  const source = await openSource(path, [inputSpec('x', 'float32', null)], { firstRow: rows - 1 });
  const into = tensorsFor(source, 1);
  assert.equal((await source.read(into)).rows, 1);
  assert.equal(into[0]!.data[0], 42);
  await source.close();
});
