/** Makes the record of a run: its summary with the plan, the spans that were kept, the pace and the errors. */
import { basename, dirname } from 'node:path';
import { VERSION } from '../package.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Timeline } from '../pipeline/timeline.js';
import { machineFacts } from '../plan/machine-facts.js';
import type { ErrorCount } from './error-counts.js';
import type { RunPart, RunRecord } from './record.js';

export interface RunToRecord {
  readonly pipeline: Pipeline;
  readonly summary: RunPart['summary'];
  readonly errors: readonly ErrorCount[];
  /** The command line, from the verb on. */
  readonly command: readonly string[];
}

export function recordOf({ pipeline, summary, errors, command }: RunToRecord): RunRecord {
  const { graph, plan, timeline, liveBytes } = pipeline;
  const stages = plan.stages.map(({ layers, memory }, j) => ({
    firstLayer: nameOf(graph.layers[layers.from]!.name),
    lastLayer: nameOf(graph.layers[layers.to]!.name),
    budgetBytes: memory ?? null,
    liveBytes: liveBytes[j] ?? 0,
  }));
  const cards = pipeline.loaded.filter(({ ranOn }) => ranOn === 'gpu').map(({ deviceName }) => deviceName);
  return {
    ...emptyRecord(modelName(graph.path), command, [...new Set(cards)]),
    run: {
      summary,
      stages,
      ...columnsOf(timeline),
      errors,
    },
  };
}

/** A record that has nothing to show yet but where and when it was made. */
export function emptyRecord(title: string, command: readonly string[], cards: readonly string[] = []): RunRecord {
  return {
    kind: 'tandem-record',
    schema: 1,
    title,
    createdAt: new Date().toISOString(),
    version: VERSION,
    command: ['tandem', ...command],
    machine: machineFacts(cards),
    run: null,
    comparisons: [],
  };
}

/** `model.json` and `model.onnx` are called by their folder. */
function modelName(path: string): string {
  const file = basename(path);
  return /^model\.\w+$/.test(file) ? basename(dirname(path)) || file : file;
}

function nameOf(name: string): string {
  return name.slice(0, 200);
}

/** A timeline as plain columns. */
export function columnsOf(timeline: Timeline): Pick<RunPart, 'timeline' | 'pace'> {
  const { lanes, recorded } = timeline;
  return { timeline: { lanes, recorded, spans: spansOf(timeline) }, pace: paceOf(timeline) };
}

function spansOf({ spans, lanes, startedAt }: Timeline): RunPart['timeline']['spans'] {
  const laneOf = new Map(lanes.map(({ stage, worker }, lane) => [`${stage}/${worker}`, lane]));
  const since = (time: number) => Math.max(0, Math.round(time - startedAt));
  return {
    lane: spans.map(({ stage, worker }) => laneOf.get(`${stage}/${worker}`)!),
    microBatch: spans.map(({ microBatch }) => microBatch),
    rows: spans.map(({ rows }) => rows),
    readyAt: spans.map(({ readyAt }) => since(readyAt)),
    acceptedAt: spans.map(({ acceptedAt }) => since(acceptedAt)),
    finishedAt: spans.map(({ finishedAt }) => since(finishedAt)),
  };
}

function paceOf({ pace }: Timeline): RunPart['pace'] {
  const { intervalSeconds, rows, busySeconds } = pace;
  const micros = (seconds: number) => Math.round(seconds * 1e6) / 1e6;
  return { intervalSeconds, rows, busySeconds: busySeconds.map((lane) => lane.map(micros)) };
}
