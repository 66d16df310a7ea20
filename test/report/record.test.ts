/** A record comes back from its JSON and from a page, whatever its texts hold; what is none is refused with what to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TandemError } from '../../src/errors.js';
import { readRecord } from '../../src/report/record.js';
import { reportPage } from '../../src/report/report-page.js';
import { sampleRecord } from './sample-record.js';

test('a page carries its record unharmed, and no text of it can end the element that it lies in', () => {
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

test('JSON of a record is a record; unknown fields are left out', () => {
  const record = sampleRecord();
  assert.deepEqual(readRecord(JSON.stringify({ ...record, more: 1 }), 'run.json'), record);
});

test('the page asks for nothing: no address but that of SVG, no handler and no style in its elements', () => {
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
    'a lane that is not there',
    (record) =>
      withColumn(
        record,
        'lane',
        record.run!.timeline.spans.lane.map(() => 9),
      ),
    /name a lane/,
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

test('refused: what is no JSON at all', () => {
  assert.throws(() => readRecord('<html>', 'x.html'), { code: 'TANDEM_USAGE' });
});
