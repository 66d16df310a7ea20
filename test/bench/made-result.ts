/** Results of a bench that never ran, for the parts that only read them. */
import type { BenchResult, CaseResult } from '../../src/bench/result.js';

/** Rows a second of the case that all are told against. */
const FIRST = 80;

interface MadeCase {
  readonly name: string;
  readonly rate: number;
  readonly spread?: number;
  readonly weightBytes?: number;
  readonly depth?: number;
  /** Device and seconds of a micro-batch of each stage, and its threads. */
  readonly stages?: readonly (readonly [device: string, seconds: number, threads?: number])[];
  readonly efficiency?: number;
}

export function madeCase({
  name,
  rate,
  spread = 0.01,
  weightBytes = 100,
  depth = 3,
  efficiency = 1,
  ...rest
}: MadeCase): CaseResult {
  const stages = (rest.stages ?? [['cpu', 0.01]]).map(([device, seconds, threads = 1], j) => ({
    device,
    provider: 'cpu',
    ranOn: device,
    layers: { from: 4 * j, to: 4 * j + 3 },
    threads,
    workers: 1,
    seconds,
    utilisation: 1,
    weightBytes: 50,
    peakRssBytes: null,
    liveBytes: 0,
    hopSeconds: 0,
  }));
  return {
    name,
    kind: stages.length > 1 ? 'pipelined' : 'whole',
    flags: `--stage ${name}`,
    microBatch: 8,
    depth,
    isolation: 'thread',
    rows: 256,
    rowsPerSecond: rate,
    spread,
    toFirst: { median: rate / FIRST, low: (rate * (1 - spread)) / FIRST, high: (rate * (1 + spread)) / FIRST },
    repetitions: [1 - spread, 1 - spread / 2, 1 + spread / 2, 1 + spread].map((drift) => rate * drift),
    loadSeconds: 1,
    stages,
    efficiency,
    bubble: { predicted: 0, measured: 0 },
    coordinatorSeconds: 0,
    coordinatorOwnSeconds: 0,
    copySeconds: 0,
    arenaBytes: 10,
    weightBytes,
    peakRssBytes: null,
  };
}

export function madeResult(cases: readonly CaseResult[]): BenchResult {
  return {
    schema: 1,
    kind: 'tandem bench',
    tandem: '0.0.0',
    date: '2026-01-01T00:00:00.000Z',
    machine: { cpu: 'made', cores: 2, memoryBytes: 1, cards: [], system: 'test', node: '20' },
    model: {
      path: '/m',
      format: 'onnx',
      engine: 'onnxruntime',
      layers: 8,
      weightBytes: 100,
      inputs: [{ name: 'x', dtype: 'float32', shape: [4] }],
    },
    seconds: { asked: 1, took: 1 },
    cases: [...cases],
    overlap: null,
    sweep: { microBatch: [], depth: [], budget: [] },
    skipped: [],
    verdict: { best: cases[0]!.name, alike: [], flags: '', speedUp: 1, helps: [] },
  };
}
