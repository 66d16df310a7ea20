/** Rows as NPZ: deterministic bytes that NumPy reads, and no other files left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { OutputClaim } from '../../../src/output/claim.js';
import { OutputFiles } from '../../../src/output/files.js';
import { NpzWriter } from '../../../src/output/npz/npz-writer.js';
import { ZipWriter } from '../../../src/output/npz/zip-writer.js';
import { openSink } from '../../../src/output/open-sink.js';
import { PartialFile } from '../../../src/output/partial-file.js';
import type { Sink } from '../../../src/output/sink.js';
import { openSource } from '../../../src/rows/open-source.js';
import { FINGERPRINT, jobOf } from '../../fixtures/job-of.js';
import { floatBytes, npyBytes } from '../../fixtures/npy-bytes.js';
import { batch, failedRow, sharedTensor } from '../../fixtures/rows-done.js';
import { inputSpec, readAll } from '../../fixtures/rows-read.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

async function writeThree(sink: Sink): Promise<void> {
  const first = { y: sharedTensor('float32', [2, 2], [1, 2, 3, 4]), 'größe/x:0': sharedTensor('int64', [2], [5n, 6n]) };
  const second = { y: sharedTensor('float32', [1, 2], [7, 8]), 'größe/x:0': sharedTensor('int64', [1], [9n]) };
  await sink.write(batch(0, first, { failed: [failedRow(1)] }));
  await sink.write(batch(2, second));
}

test('every output is a member with its failed rows in place; only the archive stays', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.npz'));
  await writeThree(sink);
  assert.deepEqual(readdirSync(at('')).sort(), [
    'out.npz.1.partial',
    'out.npz.errors.jsonl.partial',
    'out.npz.lock',
    'out.npz.partial',
  ]);
  await sink.finish();
  assert.deepEqual(readdirSync(at('')), ['out.npz', 'out.npz.errors.jsonl']);
  const specs = [inputSpec('größe/x:0', 'int64'), inputSpec('y', 'float32', 2)];
  const all = await readAll(await openSource(at('out.npz'), specs));
  assert.deepEqual(all.values, [
    [5n, 9n],
    [1, 2, 7, 8],
  ]);
  assert.deepEqual(
    all.failures.map(({ index, message }) => [index, message]),
    [[1, 'y[0] is NaN']],
  );
});

test('the same rows give the same bytes in any micro-batches', async (t) => {
  const at = tempFolder(t);
  const values = Array.from({ length: 12 }, (_, n) => n);
  for (const rows of [1, 2, 3, 6]) {
    const sink = await openSink(at(`out${rows}.npz`));
    for (let row = 0; row < 6; row += rows) {
      await sink.write(batch(row, { y: sharedTensor('float32', [rows, 2], values.slice(2 * row, 2 * (row + rows))) }));
    }
    await sink.finish();
    assert.deepEqual(readFileSync(at(`out${rows}.npz`)), readFileSync(at('out1.npz')));
  }
});

test('abandoned: the rows so far are a complete archive, and no other file stays', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.npz'));
  await sink.write(batch(0, { y: sharedTensor('float32', [1, 2], [1, 2]) }));
  await sink.abandon();
  assert.deepEqual(readdirSync(at('')), ['out.npz.partial']);
  const source = await openSource(at('out.npz.partial'), [inputSpec('y', 'float32', 2)], { format: 'npz' });
  assert.deepEqual((await readAll(source)).values, [[1, 2]]);
  const unused = await openSink(at('none.npz'));
  await assert.rejects(unused.finish(), { code: 'TANDEM_OUTPUT_FAILED', message: /there were no rows/ });
});

test('left to be resumed: the archive has the rows so far of the first output, and separate files those of the others', async (t) => {
  const at = tempFolder(t);
  const claim = await OutputClaim.take(at('out.npz'), { fingerprint: FINGERPRINT });
  const sink = await claim.open(jobOf({ rows: 9, microBatch: 2 }));
  await writeThree(sink);
  await sink.abandon();
  const first = await openSource(at('out.npz.partial'), [inputSpec('y', 'float32', 2)], { format: 'npz' });
  assert.deepEqual((await readAll(first)).values, [[1, 2, 7, 8]]);
  const second = await openSource(at('out.npz.1.partial'), [inputSpec('x', 'int64')], { format: 'npy' });
  assert.deepEqual((await readAll(second)).values, [[5n, 0n, 9n]]);
});

test('an unfinished output of another version, with its first output in a separate file, is refused', async (t) => {
  const files = new OutputFiles(tempFolder(t)('out.npz'));
  const archive = await files.open('');
  const earlier = { rows: 3, state: { arrays: [{ name: 'y', dtype: 'float32' as const, rowShape: [2] }] } };
  const opening = NpzWriter.open(files, archive, async () => {}, earlier);
  await assert.rejects(opening, { code: 'TANDEM_JOURNAL_DAMAGED', message: /another version of tandem started it/ });
  await archive.remove();
});

for (const zip64From of [0, 100, 300, 0xffffffff]) {
  test(`ZIP64 fields for numbers from ${zip64From} are read back`, async (t) => {
    const path = tempFolder(t)('out.npz');
    const file = await PartialFile.create(path);
    const zip = new ZipWriter(file, [], zip64From);
    for (const name of ['a.npy', 'b.npy', 'c.npy']) {
      const bytes = npyBytes({ descr: '<f4', shape: [2], data: floatBytes(1, 2) });
      await zip.add(name, bytes.length, crc32(bytes), () => file.write(bytes));
    }
    await zip.end();
    await file.publish({ replace: false });
    const specs = ['c', 'b', 'a'].map((name) => inputSpec(name, 'float32'));
    assert.deepEqual((await readAll(await openSource(path, specs))).values, [
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    if (numpyMissing === false) {
      const script = 'import numpy, sys; print({k: v.tolist() for k, v in numpy.load(sys.argv[1]).items()})';
      const printed = execFileSync('python3', ['-c', script, path]).toString().trim();
      assert.equal(printed, "{'a': [1.0, 2.0], 'b': [1.0, 2.0], 'c': [1.0, 2.0]}");
    }
  });
}

/** The reason to skip tests that need NumPy, or `false` if it is installed. */
const numpyMissing = (() => {
  try {
    execFileSync('python3', ['-c', 'import numpy'], { stdio: 'pipe' });
    return false;
  } catch {
    return 'python3 with numpy is not installed';
  }
})();

test('NumPy reads the written files', { skip: numpyMissing }, async (t) => {
  const at = tempFolder(t);
  for (const name of ['out.npz', 'out.npy']) {
    const sink = await openSink(at(name));
    if (name === 'out.npz') await writeThree(sink);
    else await sink.write(batch(0, { y: sharedTensor('bool', [2, 1], [1, 0]) }));
    await sink.finish();
  }
  const script = `
import numpy, sys, json
z = numpy.load(sys.argv[1])
print(json.dumps([{k: [str(v.dtype), v.shape, v.astype(str).tolist()] for k, v in z.items()}, numpy.load(sys.argv[2]).tolist()]))`;
  assert.deepEqual(JSON.parse(execFileSync('python3', ['-c', script, at('out.npz'), at('out.npy')]).toString()), [
    {
      y: [
        'float32',
        [3, 2],
        [
          ['1.0', '2.0'],
          ['nan', 'nan'],
          ['7.0', '8.0'],
        ],
      ],
      'größe/x:0': ['int64', [3], ['5', '0', '9']],
    },
    [[true], [false]],
  ]);
});

test('files of NumPy are read', { skip: numpyMissing }, async (t) => {
  const at = tempFolder(t);
  const script = `
import numpy, sys
a, b = numpy.arange(6, dtype='>i2').reshape(3, 2), numpy.array([0.5, 1e30, numpy.nan])
for name, save in (('a.npz', numpy.savez), ('b.npz', numpy.savez_compressed)): save(f'{sys.argv[1]}/{name}', a=a, b=b)
numpy.save(f'{sys.argv[1]}/c.npy', a)`;
  execFileSync('python3', ['-c', script, at('')]);
  const specs = [inputSpec('a', 'int32', null), inputSpec('b', 'float32')];
  for (const name of ['a.npz', 'b.npz']) {
    const all = await readAll(await openSource(at(name), specs));
    assert.deepEqual(all.values, [
      [0, 1, 2, 3],
      [0.5, Math.fround(1e30)],
    ]);
    assert.equal(all.failures.length, 1);
  }
  assert.deepEqual((await readAll(await openSource(at('c.npy'), specs.slice(0, 1)))).values, [[0, 1, 2, 3, 4, 5]]);
});
