/** Records for the tests of the report: a simulated pipeline run, from the exact simulation that makes the predictions. */

import { columnsOf } from '../../src/report/columns.js';
import type { RunRecord } from '../../src/report/record.js';
import { Timeline } from '../../src/timeline/timeline.js';

export interface Sample {
  readonly title?: string;
  /** Microseconds per micro-batch, by stage. */
  readonly stageMicros?: readonly number[];
  readonly workers?: readonly number[];
  readonly microBatches?: number;
  readonly errors?: NonNullable<RunRecord['run']>['errors'];
  readonly deviceName?: string;
  readonly layerName?: string;
  readonly budgetBytes?: number | null;
  readonly microBatchRows?: number;
  readonly batchInvariant?: boolean | null;
  /** Whether all stages are replicas. */
  readonly replicas?: boolean;
}

const ROWS = 64;
const DEPTH = 6;
const HOP = 120;

/** A simulated timeline. Micro-batch times vary by a fixed pattern, so that no two boxes are equal. */
export function sampleTimeline({
  stageMicros = [24_000, 26_000],
  workers = stageMicros.map(() => 1),
  microBatches = 60,
}: Sample): Timeline {
  const timeline = new Timeline(workers, 0);
  const free = workers.map((count) => new Array<number>(count).fill(0));
  const done: number[] = [];
  for (let i = 0; i < microBatches; i++) {
    let ready = i < DEPTH ? i * 300 : done[i - DEPTH]! + 200;
    for (const [stage, micros] of stageMicros.entries()) {
      const lanes = free[stage]!;
      const thread = lanes.indexOf(Math.min(...lanes));
      const acceptedAt = Math.max(ready, lanes[thread]!) + HOP;
      const finishedAt = acceptedAt + Math.round(micros * (1 + 0.18 * Math.sin(i * 1.7 + stage)));
      timeline.record({ stage, thread: thread + 1, microBatch: i, rows: ROWS, readyAt: ready, acceptedAt, finishedAt });
      lanes[thread] = finishedAt;
      ready = finishedAt;
    }
    done.push(Math.max(ready, done.at(-1) ?? 0));
  }
  return timeline;
}

export function sampleRecord(sample: Sample = {}): RunRecord {
  const { title = 'bert-base', errors = [], deviceName = 'AMD EPYC', layerName = 'encoder', replicas = false } = sample;
  const timeline = sampleTimeline(sample);
  const uses = timeline.uses();
  const failedRows = errors.reduce((sum, { count }) => sum + count, 0);
  const microBatches = uses[0]!.microBatches;
  const rows = ROWS * microBatches;
  const slowest = Math.max(...uses.map(({ meanSeconds }, j) => meanSeconds / timeline.workers[j]!));
  return {
    kind: 'tandem-record',
    schema: 1,
    title,
    createdAt: '2026-11-22T11:49:18.584Z',
    version: '0.1.0',
    command: ['tandem', 'run', title, '--input', 'rows.npy', '--output', 'out.npy'],
    machine: {
      ...{ cpu: deviceName, cores: 8, memoryBytes: 16 * 2 ** 30, system: 'Linux 6.1, x64', node: '20.20.2' },
      cards: [deviceName],
    },
    run: {
      summary: {
        ...{ rows, failedRows, seconds: timeline.seconds, loadSeconds: 2.5, rowsPerSecond: rows / timeline.seconds },
        ...{
          ...(sample.batchInvariant !== undefined && { batchInvariant: sample.batchInvariant }),
          microBatches,
          microBatchRows: sample.microBatchRows ?? ROWS,
          depth: DEPTH,
          isolation: 'process',
          engine: 'onnxruntime',
        },
        ...{
          cutBy: 'flops',
          bubble: timeline.bubble(DEPTH),
          predicted: { rowsPerSecond: ROWS / slowest },
          planned: { rowsPerSecond: ROWS / slowest / 1.02, bubble: 0.04 },
        },
        ...{ arenaBytes: 12 * 2 ** 20, peakRssBytes: 3.4 * 2 ** 30, stopped: false },
        stages: uses.map(({ busySeconds, waitSeconds, utilisation }, stage) => ({
          ...{ stage, device: stage === 0 ? 'gpu' : 'cpu', provider: stage === 0 ? 'cuda' : 'cpu' },
          ...{
            ranOn: stage === 0 ? 'gpu' : 'cpu',
            deviceName,
            ...(replicas ? { beside: stage > 0, turns: stage === 0 ? 3 : 1 } : {}),
            layers: replicas ? { from: 0, to: 6, of: 7 } : { from: stage * 7, to: stage * 7 + 6, of: uses.length * 7 },
          },
          ...{ threads: 1, workers: timeline.workers[stage]!, busySeconds, waitSeconds, utilisation },
          ...{ peakRssBytes: (1.2 + stage * 0.4) * 2 ** 30, weightBytes: 0.8 * 2 ** 30 },
        })),
      },
      stages: uses.map((_, stage) => ({
        ...{
          firstLayer: `${layerName}.${stage * 7}`,
          lastLayer: `${layerName}.${stage * 7 + 6}`,
          liveBytes: 3 * 2 ** 20,
        },
        budgetBytes: sample.budgetBytes === undefined ? 2 ** 31 : sample.budgetBytes,
      })),
      ...columnsOf(timeline),
      errors,
    },
    comparisons: [],
  };
}
