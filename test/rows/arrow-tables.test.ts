/** Parquet and Arrow files as pyarrow writes them: every value, every codec, any first row; and files that are damaged. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { residentMemory } from '../../src/machine/resident-memory.js';
import { Random, seedOf } from '../../src/prove/models/random.js';
import { openRecords, type RecordOptions, type RowRecord } from '../../src/rows/record-source.js';
import { noPyarrow, PYTHON } from './pyarrow.js';

const SCRIPT = resolve(import.meta.dirname, '../../../test/rows/table-fixtures.py');
const folder = mkdtempSync(join(tmpdir(), 'tandem-tables-'));
const at = (name: string) => join(folder, name);

/** A value in the form of expected.json. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (ArrayBuffer.isView(value))
    return Array.from(value as unknown as unknown[], (one) =>
      plain(typeof one === 'bigint' && one < 2n ** 53n ? Number(one) : one),
    );
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}

async function readAll(path: string, options: RecordOptions = {}): Promise<RowRecord[]> {
  const source = await openRecords([path], options);
  try {
    const rows: RowRecord[] = [];
    for (;;) {
      const read = await source.read(3);
      if (read.rows === 0) return rows;
      rows.push(...read.records);
    }
  } finally {
    await source.close();
  }
}

suite('tables of pyarrow', { skip: noPyarrow }, () => {
  let expected: Record<string, unknown>[] = [];
  before(() => {
    execFileSync(PYTHON, [SCRIPT, folder]);
    expected = JSON.parse(readFileSync(at('expected.json'), 'utf8'));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const name of ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'page2', 'encodings']
    .map((codec) => `${codec}.parquet`)
    .concat(['uncompressed.feather', 'lz4.feather', 'zstd.feather', 'stream.arrows'])) {
    test(`${name} holds what was written, from any first row`, async () => {
      for (const firstRow of [0, 3, 4, 9, 10, 20]) {
        const rows = (await readAll(at(name), { firstRow })).map(plain) as Record<string, unknown>[];
        const wanted = expected
          .slice(firstRow)
          .map((row) => Object.fromEntries(Object.keys(rows[0] ?? {}).map((key) => [key, row[key]])));
        assert.deepEqual(rows, wanted);
      }
    });
  }

  test('some columns, their types, and the number of rows', async () => {
    const source = await openRecords([at('lz4.parquet')], { columns: ['nano', 'floats', 'decimal'] });
    await source.close();
    assert.equal(source.rows, 10);
    assert.deepEqual(source.columns, [
      { name: 'nano', type: 'timestamp[ns, UTC]' },
      { name: 'floats', type: 'list<float32>' },
      { name: 'decimal', type: 'decimal(30, 2)' },
    ]);
    await assert.rejects(readAll(at('lz4.parquet'), { columns: ['flots'] }), { remedy: /did you mean floats\?/ });
  });

  test('files cut at any place and files with changed bytes are read right, or refused by code; nothing ends the process', async () => {
    for (const name of ['snappy.parquet', 'lz4.parquet', 'lz4.feather', 'zstd.feather', 'stream.arrows']) {
      const whole = readFileSync(at(name));
      const random = new Random(seedOf(name, 1));
      for (let n = 0; n < 60; n++) {
        const damaged = n < 12 ? whole.subarray(0, Math.floor((whole.length * n) / 12)) : Buffer.from(whole);
        // What is said of the data stands before it and, in Parquet, behind it.
        const places = n % 2 === 0 ? 2000 : whole.length;
        const from = name.endsWith('.parquet') && n % 2 === 0 ? whole.length - places : 0;
        const flips = n < 12 ? 0 : 1 + random.below(8);
        for (let k = 0; k < flips; k++) damaged[from + random.below(places)]! ^= 1 + random.below(255);
        const path = at(`damaged-${name}`);
        writeFileSync(path, damaged);
        await readAll(path).then(
          () => {},
          (error) =>
            assert.match(
              error.code ?? String(error.stack),
              /^TANDEM_INPUT_(INVALID|EMPTY|CHANGED)$/,
              `${name} ${n}: ${error.stack}`,
            ),
        );
      }
    }
    const { peak } = residentMemory();
    assert.ok(peak < 1.5 * 2 ** 30, `${peak} bytes: a damaged file must not make lists of what it claims`);
  });
});
