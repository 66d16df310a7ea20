/** A few kills of a whole run at random times; scripts/kill-run.ts does hundreds. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KilledJob } from '../../scripts/kill-run/killed-job.js';
import { noNamespaces } from '../../scripts/kill-run/namespace.js';
import { notLinux } from '../../scripts/kill-stages/processes.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { makeTable } from '../../scripts/make-table.js';
import { Random } from '../../src/prove/models/random.js';

for (const containers of [false, true])
  test(`${containers ? 'in containers, with competing runs: ' : ''}a run that is killed at random times and resumed gives the bytes of an undisturbed run`, {
    skip: containers ? noNamespaces : notLinux,
  }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
    t.after(() => rmSync(folder, { recursive: true }));
    makeOnnx('mlp', join(folder, 'onnxruntime'), { layers: 2, hidden: 8 });
    makeRows(join(folder, 'rows.npy'), 2000, [8], { badEvery: 7 });
    makeRows(join(folder, 'other.npy'), 10, [8]);
    const reported: number[] = [];
    const tally = await new KilledJob({
      ...{ engine: 'onnxruntime', isolation: 'thread', target: 'coordinator', folder, kills: 3, containers },
      random: new Random(7),
      signal: t.signal,
      onKill: ({ kills }) => reported.push(kills),
    }).run();
    assert.deepEqual(reported.slice(0, 3), [1, 2, 3]);
    assert.ok(tally.outputs >= 1);
  });

test('tables that are killed at random times and resumed have the bytes of an undisturbed run', {
  skip: notLinux,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
  t.after(() => rmSync(folder, { recursive: true }));
  makeOnnx('mlp', join(folder, 'onnxruntime'), { layers: 2, hidden: 8 });
  makeTable(join(folder, 'rows.csv'), 1500, 8);
  for (const format of ['csv', 'parquet', 'arrow']) {
    const tally = await new KilledJob({
      ...{
        engine: 'onnxruntime',
        isolation: 'thread',
        target: 'coordinator',
        folder,
        kills: 2,
        input: 'rows.csv',
        format,
      },
      random: new Random(11),
      signal: t.signal,
      onKill: () => {},
    }).run();
    assert.ok(tally.outputs >= 1, format);
  }
});
