/** A few kills of a whole run at random instants, as scripts/kill-run.ts deals them out by the hundred. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KilledJob } from '../../scripts/kill-run/killed-job.js';
import { notLinux } from '../../scripts/kill-stages/processes.js';
import { Random } from '../../scripts/make-model/random.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';

test('a run that is killed at random instants and gone on with gives the bytes of one that was left alone', {
  skip: notLinux,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'));
  t.after(() => rmSync(folder, { recursive: true }));
  makeOnnx('mlp', join(folder, 'onnxruntime'), { layers: 2, hidden: 8 });
  makeRows(join(folder, 'rows.npy'), 2000, [8]);
  const told: number[] = [];
  const tally = await new KilledJob({
    ...{ engine: 'onnxruntime', isolation: 'thread', target: 'coordinator', folder, kills: 3 },
    random: new Random(7),
    signal: t.signal,
    onKill: ({ kills }) => told.push(kills),
  }).run();
  assert.deepEqual(told.slice(0, 3), [1, 2, 3]);
  assert.ok(tally.outputs >= 1);
});
