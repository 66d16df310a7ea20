/** A record is read back from its JSON and from a page with any texts; other files are refused with a remedy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TandemError } from '../../src/errors.js';
import { readRecord } from '../../src/report/record.js';
import { reportPage } from '../../src/report/report-page.js';
import { sampleRecord } from './sample-record.js';

test('a page contains its record unchanged, and no text can end the element that holds it', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom('', '</script>', '<!--', '{{script}}'),
      (text, more) => {
        const record = sampleRecord({ title: text + more, microBatches: 2 });
        const page = reportPage(record);
        assert.deepEqual(readRecord(page, 'page'), record);
        assert.equal(page.match(/<script/g)!.length, 2);
        assert.equal(page.match(/<\/script>/g)!.length, 2);
      },
    ),
    { numRuns: 30 },
  );
});

test('the JSON of a record is read; unknown fields are dropped', () => {
  const record = sampleRecord();
  assert.deepEqual(readRecord(JSON.stringify({ ...record, more: 1 }), 'run.json'), record);
});

test('the page makes no requests: no address except that of SVG, no handler and no style in its elements', () => {
  const page = reportPage(sampleRecord());
  assert.deepEqual([...new Set(page.match(/https?:\/\/[^\s'"]+/g))], ['http://www.w3.org/2000/svg']);
  assert.doesNotMatch(page, /\son\w+=|\sstyle=|@import|url\(/);
  assert.match(page, /content="default-src 'none'; script-src 'sha256-[\w+/]+=*'; style-src 'sha256-[\w+/]+=*';/);
  assert.doesNotMatch(page, /unsafe/);
});

const REFUSED: [string, (record: ReturnType<typeof sampleRecord>) => unknown, RegExp][] = [
  ['another kind of file', () => ({ schema: 1, rows: 5 }), /kind/],
  ['another schema', (record) => ({ ...record, schema: 2 }), /schema/],
  ['spans of different length', (record) => withColumn(record, 'rows', [1]), /differ in length/],
  [
    'a missing lane',
    (record) =>
      withColumn(
        record,
        'lane',
        record.run!.timeline.spans.lane.map(() => 9),
      ),
    /name a missing lane/,
  ],
  ['text for a number', (record) => withColumn(record, 'rows', record.run!.timeline.spans.rows.map(String)), /rows/],
];

function withColumn(record: ReturnType<typeof sampleRecord>, column: string, values: unknown): unknown {
  const run = record.run!;
  return {
    ...record,
    run: { ...run, timeline: { ...run.timeline, spans: { ...run.timeline.spans, [column]: values } } },
  };
}

for (const [name, broken, says] of REFUSED) {
  test(`refused: ${name}`, () => {
    const text = JSON.stringify(broken(sampleRecord()));
    assert.throws(
      () => readRecord(text, 'x.json'),
      (error) =>
        error instanceof TandemError &&
        error.code === 'TANDEM_USAGE' &&
        says.test(error.message) &&
        /--record/.test(error.remedy),
    );
  });
}

test('refused: a file that is not JSON', () => {
  assert.throws(() => readRecord('<html>', 'x.html'), { code: 'TANDEM_USAGE' });
});
