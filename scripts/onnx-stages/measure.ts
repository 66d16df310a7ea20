/** One measurement in a process of its own, so that nothing else lies in its memory: `ort MODEL` or `stage MODEL FROM TO ROWS FREE`. */
import { readFileSync } from 'node:fs';
import { onnxruntime } from '../../src/engine/onnxruntime/onnxruntime.js';
import { openOrt } from '../../src/engine/onnxruntime/session.js';
import { weightBytes } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { sliceOf } from '../../src/model/slice.js';
import { allocate } from '../../src/tensor.js';
import type { Facts } from '../onnx-stages.js';

const CPU = { provider: 'cpu', threads: 1 } as const;

/** Bytes of this process in memory now, and at the most so far (Linux). */
function resident(): { now: number; peak: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)![1]) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** ONNX Runtime's own load of the whole file: milliseconds. */
async function wholeLoad(path: string): Promise<number> {
  const ort = await openOrt();
  const start = performance.now();
  await ort.InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  return performance.now() - start;
}

/** Ops [from, to) as a stage: what it holds before, after loading, and while it runs on inputs of the given facts. */
async function stage(path: string, from: number, to: number, facts: Facts): Promise<StageFigures> {
  await openOrt();
  const base = resident().now;
  const start = performance.now();
  const graph = await openModel(path);
  const slice = sliceOf(graph, from, to);
  const loaded = await onnxruntime.load(slice, CPU);
  const loadMs = performance.now() - start;
  const after = resident();
  const inputs = slice.inputs.map((name) => {
    const { dtype, shape } = facts[name]!;
    return { dtype, shape, data: allocate(dtype, shape) };
  });
  for (let n = 0; n < 3; n++) await loaded.run(inputs);
  return {
    base,
    loadMs,
    weights: weightBytes(graph, from, to),
    loaded: after.now,
    running: resident().now,
    peak: resident().peak,
  };
}

export interface StageFigures {
  readonly base: number;
  readonly loadMs: number;
  readonly weights: number;
  readonly loaded: number;
  readonly running: number;
  readonly peak: number;
}

process.on('message', async (ask: { path: string; from?: number; to?: number; facts?: Facts }) => {
  const { path, from, to, facts } = ask;
  process.send!(from === undefined ? await wholeLoad(path) : await stage(path, from, to!, facts!));
  process.disconnect();
});
