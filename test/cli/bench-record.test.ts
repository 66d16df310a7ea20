/** A bench as a record: one that can be written, read and drawn, with the best case in colour. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { benchRecord } from '../../src/cli/bench-record.js';
import { readRecord } from '../../src/report/record.js';
import { madeCase, madeResult } from '../bench/made-result.js';
import { tandem } from './tandem-process.js';

const RESULT = {
  ...madeResult([madeCase({ name: 'whole', rate: 100 }), madeCase({ name: 'pipelined', rate: 180, efficiency: 0.9 })]),
  sweep: {
    microBatch: [16, 8].map((microBatch) => ({ layout: 'two', microBatch, depth: 4, rowsPerSecond: 100 + microBatch })),
    depth: [],
    budget: [
      {
        ...{ layout: 'two', memoryBytes: 2 ** 30, layers: { from: 0, to: 2 } },
        ...{ microBatch: 8, depth: 4, rowsPerSecond: 90, promisedBytes: 2 ** 29, heldBytes: null },
      },
    ],
  },
  verdict: {
    best: 'pipelined',
    alike: ['whole'],
    flags: '--stage cpu --stage cpu',
    speedUp: 1.8,
    helps: [{ change: 'a faster link', gain: 1.11, why: 'hops' }],
  },
};

test('cases, sweep and what would help stand side by side; the best is emphasised and knows its ideal', () => {
  const record = benchRecord(RESULT, ['bench', 'm']);
  assert.deepEqual(readRecord(JSON.stringify(record), 'x'), JSON.parse(JSON.stringify(record)));
  assert.deepEqual(
    record.comparisons.map(({ title, cases }) => [title, cases.map(({ name, value }) => [name, value])]),
    [
      [
        'Cases',
        [
          ['whole', 100],
          ['pipelined', 180],
        ],
      ],
      [
        'Rows of a micro-batch',
        [
          ['two, 8', 108],
          ['two, 16', 116],
        ],
      ],
      ['Memory of the first stage: two', [['1.0 GiB', 90]]],
      ['What would help', [['a faster link', 1.11]]],
    ],
  );
  assert.deepEqual(
    record.comparisons[0]!.cases.map(({ emphasis, ideal }) => [emphasis, ideal]),
    [
      [false, 100],
      [true, 200],
    ],
  );
  assert.deepEqual(record.verdict, [
    'Best: pipelined, 1.80 times the first.',
    'Not distinguishable in these rounds: whole.',
  ]);
});

test('tandem report draws what tandem bench wrote', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'tandem-bench-record-'));
  try {
    writeFileSync(join(cwd, 'bench.json'), JSON.stringify(RESULT));
    const { status, stderr } = await tandem(['report', 'bench.json'], { cwd });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    const { comparisons } = readRecord(readFileSync(join(cwd, 'bench.html'), 'utf8'), 'bench.html');
    assert.equal(comparisons.length, 4);
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
