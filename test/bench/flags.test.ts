/** A plan as flags. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagsOf } from '../../src/bench/flags.js';
import { parseStages } from '../../src/cli/stage-flag.js';
import type { Plan, StagePlan } from '../../src/plan/plan.js';

const stage = (device: string, from: number, to: number, threads: number, workers: number): StagePlan => ({
  device,
  engine: 'onnxruntime',
  provider: 'cpu',
  threads,
  workers,
  layers: { from, to },
  ops: { from, to: to + 1 },
});

const flagsFor = (stages: readonly StagePlan[], depth: number) =>
  flagsOf({ stages } as unknown as Plan, { microBatch: 8, depth });

test('the flags say the plan, and are read back as it', () => {
  const flags = flagsFor([stage('gpu', 0, 5, 1, 1), stage('cpu', 6, 11, 2, 3)], 7);
  assert.equal(
    flags,
    '--stage gpu,layers=0..5,threads=1 --stage cpu,layers=6..11,threads=2,workers=3 --micro-batch 8 --depth 7',
  );
  const { device, layers, threads, workers } = parseStages('cpu,layers=6..11,threads=2,workers=3')[0]!;
  assert.deepEqual([device, layers, threads, workers], ['cpu', { from: 6, to: 11 }, 2, 3]);
});

test('no more workers than can ever work', () => {
  assert.equal(flagsFor([stage('cpu', 0, 5, 1, 2)], 1), '--stage cpu,layers=0..5,threads=1 --micro-batch 8 --depth 1');
});
