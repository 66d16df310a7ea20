/** The journal's bytes: a torn end is repaired, earlier damage is refused, and it never records what was not written. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { Journal, journalPath } from '../../src/output/journal.js';
import { type BeginRecord, type Commit, encodeRecord } from '../../src/output/journal-record.js';
import { readRecords } from '../../src/output/read-journal.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const BEGIN: BeginRecord = {
  kind: 'begin',
  fingerprint: { input: '10 bytes', model: 'TDJ' },
  request: { model: '/m', input: ['/rows.jsonl'] },
  plan: {
    stages: [
      {
        ...{ device: 'cpu', engine: 'onnxruntime', provider: 'cpu', threads: 1, workers: 1 },
        ...{ layers: { from: 0, to: 1 }, ops: { from: 0, to: 2 } },
      },
    ],
    ...{ microBatch: 4, depth: 3, isolation: 'thread', cutBy: 'layers' },
  },
  total: null,
  at: 1,
};

function commit(rows: number, sealed = false): Commit {
  const files = { '': { bytes: rows * 8, head: 0, crc: rows }, '.errors.jsonl': { bytes: 3, head: 0, crc: 7 } };
  return {
    kind: 'commit',
    rows,
    failedRows: 1,
    nonFiniteRows: 0,
    microBatches: rows,
    files,
    state: {},
    sealed,
    at: rows,
  };
}

const RECORDS = [BEGIN, commit(4), commit(8), commit(8, true)];
const FRAMES = RECORDS.map(encodeRecord);
const WHOLE = Buffer.concat(FRAMES);
/** Where each record ends. */
const ENDS = FRAMES.map((_, n) => Buffer.concat(FRAMES.slice(0, n + 1)).length);

const DAMAGED = { code: 'TANDEM_JOURNAL_DAMAGED', remedy: /--force-new/ };

test('what is written is read', () => {
  assert.deepEqual(readRecords(WHOLE, 'j'), { begin: BEGIN, commit: RECORDS.at(-1), bytes: WHOLE.length });
  assert.deepEqual(readRecords(FRAMES[0]!, 'j'), { begin: BEGIN, commit: null, bytes: ENDS[0] });
});

test('truncated at every byte: complete records are read, and the torn one is dropped', () => {
  for (let bytes = 0; bytes < WHOLE.length; bytes++) {
    const whole = ENDS.filter((end) => end <= bytes).length;
    const cut = WHOLE.subarray(0, bytes);
    // The file is renamed only after the begin record is complete, so a crash cannot tear it.
    if (whole === 0) assert.throws(() => readRecords(cut, 'j'), DAMAGED);
    else assert.deepEqual(readRecords(cut, 'j').commit, whole > 1 ? RECORDS[whole - 1] : null);
  }
});

test('every bit of every record flipped: dropped in the last one, refused in all others', () => {
  for (let bit = 0; bit < WHOLE.length * 8; bit++) {
    const flipped = Buffer.from(WHOLE);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const isLast = bit >> 3 >= ENDS.at(-2)!;
    if (!isLast) assert.throws(() => readRecords(flipped, 'j'), DAMAGED, `bit ${bit}`);
    else assert.deepEqual(readRecords(flipped, 'j').commit, RECORDS.at(-2), `bit ${bit}`);
  }
});

test('any garbage instead of the last record is dropped', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
      const text = readRecords(Buffer.concat([WHOLE.subarray(0, ENDS[1]), garbage]), 'j');
      assert.deepEqual(text.commit, RECORDS[1]);
      assert.equal(text.bytes, ENDS[1]);
    }),
  );
});

test('records that no job writes are refused, even if they are complete', () => {
  const frames = (...records: object[]) => Buffer.concat(records.map((record) => encodeRecord(record as Commit)));
  for (const bytes of [
    frames(commit(4)),
    frames(BEGIN, BEGIN),
    frames(BEGIN, commit(8), commit(4)),
    frames({ ...BEGIN, plan: { ...BEGIN.plan, stages: [] } }),
    frames({ ...BEGIN, plan: { ...BEGIN.plan, microBatch: 0 } }),
    frames(BEGIN, { ...commit(4), rows: -1 }),
    frames(BEGIN, { ...commit(4), files: { '/../../elsewhere': { bytes: 0, head: 0, crc: 0 } } }),
    frames(BEGIN, { kind: 'other' }),
    Buffer.from('a file of another program'),
    Buffer.alloc(0),
  ]) {
    assert.throws(() => readRecords(bytes, 'j'), DAMAGED);
  }
  const newer = Buffer.from(FRAMES[0]!);
  newer[3] = 2;
  assert.throws(() => readRecords(newer, 'j'), { ...DAMAGED, message: /another version of tandem wrote it \(2\)/ });
});

test('on the disk: created, appended to, resumed after a torn end, and shortened', async (t) => {
  const at = tempFolder(t);
  const output = at('out.jsonl');
  assert.equal(await Journal.read(output), null);
  const first = await Journal.create(output, BEGIN);
  await first.add(commit(4));
  assert.deepEqual(readdirSync(at('')), ['out.jsonl.journal']);
  writeFileSync(journalPath(output), Buffer.concat([readFileSync(journalPath(output)), FRAMES[2]!.subarray(0, 50)]));
  const text = (await Journal.read(output))!;
  assert.deepEqual(text.commit, commit(4));
  const second = await Journal.reopen(output, text);
  await second.add(commit(8));
  await second.close();
  assert.deepEqual((await Journal.read(output))!.commit, commit(8));
  // Like a suspended process that was taken for dead and continues.
  await first.add(commit(6));
  assert.deepEqual((await Journal.read(output))!.commit, commit(8));
  await first.close();
  await Journal.shorten(output, BEGIN, commit(8, true));
  assert.deepEqual(readFileSync(journalPath(output)), Buffer.concat([FRAMES[0]!, FRAMES[3]!]));
  assert(!existsSync(`${journalPath(output)}.new`));
});
