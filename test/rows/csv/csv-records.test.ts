/** CSV as Python reads it, and files that are not quite CSV: the rows that can be read, the failures of the others, and no memory for huge cells. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { CsvScanner, cellText, TOO_LONG } from '../../../src/rows/csv/csv-scanner.js';
import { openRecords, type RecordOptions, type RecordsRead } from '../../../src/rows/record-source.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

/** The rows of `bytes`, which come in pieces that end at `cuts`; `null` where they end inside quotes. */
function scan(bytes: Buffer, cuts: readonly number[], maxBytes = 1 << 20): (string[] | 'too long')[] | null {
  const scanner = new CsvScanner(',', maxBytes);
  const rows: (string[] | 'too long')[] = [];
  const take = (row: ReturnType<CsvScanner['end']>) => {
    if (row === TOO_LONG) rows.push('too long');
    else if (row)
      rows.push(row.ends.map((end, n) => cellText(row.bytes.toString('utf8', n && row.ends[n - 1]! + 1, end))));
  };
  const bounds = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (const [n, from] of bounds.slice(0, -1).entries())
    for (const row of scanner.push(bytes.subarray(from, bounds[n + 1]))) take(row);
  if (scanner.inQuotes) return null;
  take(scanner.end());
  return rows;
}

const PYTHON = `
import csv, io, json, sys
rows = lambda text: [row for row in csv.reader(io.StringIO(text, newline='')) if row]
print(json.dumps([rows(text) for text in json.load(sys.stdin)]))`;

const nasty = fc.string({ unit: fc.constantFrom('"', '"', ',', '\n', '\r', 'a', ' ', 'é', '😀', '\0') });

test('any text, in pieces of any size, has the rows that Python reads in it', (t) => {
  if (spawnSync('python3', ['--version']).error) return t.skip('there is no python3');
  const samples = fc.sample(fc.tuple(nasty, fc.array(fc.nat(20))), { numRuns: 3000, seed: 5 });
  const texts = samples.map(([text]) => text);
  const expected = JSON.parse(execFileSync('python3', ['-c', PYTHON], { input: JSON.stringify(texts) }).toString());
  let whole = 0;
  for (const [n, [text, cuts]] of samples.entries()) {
    const bytes = Buffer.from(text);
    const inside = cuts.map((cut) => Math.min(cut, bytes.length));
    const rows = scan(bytes, inside);
    assert.deepEqual(rows, scan(bytes, []), JSON.stringify(text));
    if (rows === null) continue;
    whole += 1;
    assert.deepEqual(rows, expected[n], JSON.stringify(text));
  }
  assert.ok(whole > 1000);
});

test('a row that is too long is passed over, and the rows after it are read', () => {
  const text = `1,a\n2,"${'x\n'.repeat(100)}"\n3,b\n4,${'y'.repeat(150)}\n${','.repeat(120)}\n5,c`;
  for (const cuts of [[], Array.from({ length: 500 }, (_, n) => Math.min(n, text.length))]) {
    assert.deepEqual(scan(Buffer.from(text), cuts, 100), [
      ['1', 'a'],
      'too long',
      ['3', 'b'],
      'too long',
      'too long',
      ['5', 'c'],
    ]);
  }
});

async function readText(
  text: string | Buffer,
  options: RecordOptions = {},
): Promise<RecordsRead & { columns: string[] }> {
  const stdin = Readable.from([Buffer.from(text)]);
  const source = await openRecords(['-'], { format: 'csv', stdin, ...options });
  const read = await source.read(1000);
  await source.close();
  return { ...read, columns: source.columns!.map(({ name }) => name) };
}

test('names, ids and values: byte order mark, CRLF, quoted newlines, empty cells and an index column without a name', async () => {
  const read = await readText('\ufeff,id,text\r\n0,a,"one\r\ntwo"\r\n1,,"say ""hi"""\r\n\r\n2,007,\r\n');
  assert.deepEqual(read.columns, ['Unnamed: 0', 'id', 'text']);
  assert.deepEqual(
    read.records.map((record) => ({ ...record })),
    [
      { 'Unnamed: 0': '0', id: 'a', text: 'one\r\ntwo' },
      { 'Unnamed: 0': '1', id: '', text: 'say "hi"' },
      { 'Unnamed: 0': '2', id: '007', text: '' },
    ],
  );
  assert.deepEqual(read.ids, ['a', 1, '007']);
  assert.deepEqual(
    (await readText('a\n__proto__\n')).records[0],
    Object.assign(Object.create(null), { a: '__proto__' }),
  );
});

test('ragged rows, rows that are not UTF-8 and rows that are too long fail alone', async () => {
  const bytes = Buffer.concat([
    Buffer.from('a,b\n1,2\n1\n1,2,3\n'),
    Buffer.from([0x31, 0x2c, 0xff, 0x0a]),
    Buffer.from(`1,${'z'.repeat(60)}\n3,4\n`),
  ]);
  const { rows, records, failures } = await readText(bytes, { maxRowBytes: 50 });
  assert.equal(rows, 6);
  assert.deepEqual(
    records.map(({ a }) => a),
    ['1', '3'],
  );
  assert.deepEqual(
    failures.map(({ index, code, message }) => [index, code, message]),
    [
      [1, 'TANDEM_ROW_SHAPE', 'the row has 1 cell, and the first line names 2 columns'],
      [2, 'TANDEM_ROW_SHAPE', 'the row has 3 cells, and the first line names 2 columns'],
      [3, 'TANDEM_ROW_INVALID', 'the row is not UTF-8'],
      [4, 'TANDEM_ROW_INVALID', 'the row is longer than the limit; split it'],
    ],
  );
});

test('what is wrong with the whole file is refused by name', async () => {
  for (const [text, message] of [
    ['', /is empty/],
    ['a,a\n1,2\n', /two columns named "a"/],
    ['a,b\n1,"2\n3,4\n', /ends inside quotes, in row 0/],
    [Buffer.from('\ufeffa,b\n', 'utf16le'), /UTF-16/],
    [Buffer.from([0x61, 0xff, 0x0a]), /first line .* is not UTF-8/],
    ['{"a":1}\n', /JSON text/],
  ] as const) {
    await assert.rejects(readText(text as string), { message });
  }
  await assert.rejects(readText('text,b\n', { columns: ['txt'] }), { remedy: /did you mean text\?/ });
});

test('10^5 columns are read, all or one', async () => {
  const names = Array.from({ length: 100_000 }, (_, n) => `c${n}`).join(',');
  const cells = Array.from({ length: 100_000 }, (_, n) => n).join(',');
  const text = `${names}\n${cells}\n${cells}\n`;
  assert.equal((await readText(text)).records[1]!.c99999, '99999');
  assert.deepEqual({ ...(await readText(text, { columns: ['c5'] })).records[0] }, { c5: '5' });
});

test('several files, tabs, and any first row', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('a.tsv'), 'k\tv\n0\tx y\n1\t"a\tb"\n');
  writeFileSync(at('b.tsv'), 'k\tv\n');
  writeFileSync(at('c.tsv'), 'v\tk\nlast\t2');
  for (const firstRow of [0, 1, 2, 3, 9]) {
    const source = await openRecords([at('*.tsv')], { firstRow });
    const records: object[] = [];
    const ids: unknown[] = [];
    // One read ends with its file.
    for (let read = await source.read(10); read.rows > 0; read = await source.read(10)) {
      records.push(...read.records.map((record) => ({ ...record })));
      ids.push(...read.ids);
    }
    await source.close();
    const all = [
      { k: '0', v: 'x y' },
      { k: '1', v: 'a\tb' },
      { v: 'last', k: '2' },
    ];
    assert.deepEqual(records, all.slice(firstRow));
    assert.deepEqual(ids, [0, 1, 2].slice(firstRow));
  }
});
