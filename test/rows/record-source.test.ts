/** Records from JSON lines, compressed files, globs and folders: whole objects, ids, failures, and what is refused. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openRecords, type RecordOptions, type RecordsRead } from '../../src/rows/record-source.js';
import { soundZstd } from '../../src/rows/zstd.js';
import { tempFolder } from '../fixtures/temp-folder.js';

async function readAll(inputs: readonly string[], options: RecordOptions = {}, most = 3): Promise<RecordsRead> {
  const source = await openRecords(inputs, options);
  let all: RecordsRead = { rows: 0, records: [], failures: [], ids: [], batchLines: new Set() };
  try {
    for (;;) {
      const read = await source.read(most);
      if (read.rows === 0) return all;
      all = {
        rows: all.rows + read.rows,
        records: [...all.records, ...read.records],
        failures: [...all.failures, ...read.failures],
        ids: [...all.ids, ...read.ids],
        batchLines: new Set([...all.batchLines, ...[...read.batchLines].map((n) => n + all.rows)]),
      };
    }
  } finally {
    await source.close();
  }
}

const LINES = ['{"text":"a","n":1}', '[1]', '{"custom_id":"x","body":{"input":"hi"}}', 'no', '{"id":7,"text":null}'];

test('JSON lines are kept whole; lines that are no objects fail alone; batch lines are marked', async () => {
  const stdin = Readable.from([Buffer.from(`${LINES.join('\n')}\n{"custom_id":"x"}\n`)]);
  const { records, failures, ids, batchLines, rows } = await readAll(['-'], { stdin });
  assert.equal(rows, 6);
  assert.deepEqual(records, [JSON.parse(LINES[0]!), JSON.parse(LINES[2]!), JSON.parse(LINES[4]!)]);
  assert.deepEqual(ids, [0, 1, 'x', 3, 7, 5]);
  assert.deepEqual([...batchLines], [2, 5]);
  assert.deepEqual(
    failures.map(({ index, message }) => [index, message.slice(0, 30)]),
    [
      [1, 'the line is a list; a record i'],
      [3, 'the line is not JSON: Unexpect'],
      [5, 'an earlier row has the same cu'],
    ],
  );
});

test('gzip is read whatever the name; globs and folders in the order of names; any first row', async (t) => {
  const at = tempFolder(t);
  mkdirSync(at('in/deep'), { recursive: true });
  writeFileSync(at('in/b.jsonl.gz'), gzipSync('{"n":1}\n{"n":2}'));
  writeFileSync(at('in/a.jsonl'), gzipSync('{"n":0}\n'));
  writeFileSync(at('in/deep/c.ndjson'), '{"n":3}\n');
  writeFileSync(at('in/out.errors.jsonl'), 'none of these are rows');
  writeFileSync(at('in/notes.txt'), 'nor these');
  for (const inputs of [
    [at('in')],
    [at('in/*.jsonl*'), at('in/**/c*')],
    [at('in/a.jsonl'), at('in/[b].*'), at('in/deep')],
  ]) {
    assert.deepEqual((await readAll(inputs)).records, [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }]);
    assert.deepEqual((await readAll(inputs, { firstRow: 2 })).records, [{ n: 2 }, { n: 3 }]);
  }
});

test('a damaged gzip file is refused after the rows before the damage', async (t) => {
  const at = tempFolder(t);
  const packed = gzipSync(Array.from({ length: 1000 }, (_, n) => `{"n":${n}}\n`).join(''));
  writeFileSync(at('cut.jsonl.gz'), packed.subarray(0, packed.length - 20));
  await assert.rejects(readAll([at('cut.jsonl.gz')]), {
    code: 'TANDEM_INPUT_INVALID',
    message: /cannot be decompressed/,
  });
});

/** Three rows, compressed. */
const ZSTD = Buffer.from('KLUv/SAYwQAAYSxiCjEsb25lCjIsdHdvCjMsdGhyZWUK', 'base64');

test('zstd is read where Node reads it soundly, and else refused with what to type', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('z.csv.zst'), ZSTD);
  if (soundZstd()) assert.equal((await readAll([at('z.csv.zst')])).records[0]!.a, '1');
  else await assert.rejects(readAll([at('z.csv.zst')]), { code: 'TANDEM_INPUT_INVALID', remedy: /zstd -d / });
});

test('no Node reads a zstd file that was cut short, or has other bytes behind its rows, as a whole one', async (t) => {
  const at = tempFolder(t);
  for (let end = 4; end < ZSTD.length; end++) {
    writeFileSync(at('cut.csv.zst'), ZSTD.subarray(0, end));
    await assert.rejects(readAll([at('cut.csv.zst')]), { code: 'TANDEM_INPUT_INVALID' }, `${end} bytes`);
  }
  writeFileSync(at('more.csv.zst'), Buffer.concat([ZSTD, Buffer.from('junk')]));
  await assert.rejects(readAll([at('more.csv.zst')]), { code: 'TANDEM_INPUT_INVALID' });
});

test('no files, several formats, stdin beside files, and columns that differ are refused', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('a.csv'), 'x,y\n1,2\n');
  writeFileSync(at('b.csv'), 'x\n1\n');
  writeFileSync(at('c.jsonl'), '{}\n');
  mkdirSync(at('empty'));
  const refused = (inputs: readonly string[], code: string, message: RegExp) =>
    assert.rejects(readAll(inputs), { code, message });
  await refused([at('*.parquetx')], 'TANDEM_INPUT_MISSING', /no file matches/);
  await refused([at('empty')], 'TANDEM_INPUT_MISSING', /has no file of rows/);
  await refused([at('a.csv'), at('c.jsonl')], 'TANDEM_USAGE', /is csv, and .* is jsonl/);
  await refused([at('a.csv'), '-'], 'TANDEM_USAGE', /stdin cannot be read beside files/);
  await refused(
    [at('a.csv'), at('b.csv')],
    'TANDEM_INPUT_INVALID',
    /a\.csv has a column y: string, which .*b\.csv has not/,
  );
  await refused([at('x.npy')], 'TANDEM_USAGE', /is NPY, which holds arrays/);
});
