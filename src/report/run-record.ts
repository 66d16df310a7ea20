/** Makes the record of a run: its summary, plan, recorded spans, throughput by interval, and errors. */
import { basename, dirname } from 'node:path';
import { machineFacts } from '../machine/facts.js';
import { VERSION } from '../package.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Preparing } from '../rows/preparing.js';
import { columnsOf, preparingColumns } from './columns.js';
import type { ErrorCount } from './error-counts.js';
import type { RunPart, RunRecord } from './record.js';

export interface RunToRecord {
  readonly pipeline: Pipeline;
  readonly summary: RunPart['summary'];
  readonly errors: readonly ErrorCount[];
  /** What prepared the rows in threads of its own, if something did. */
  readonly preparing?: Preparing | null;
  /** The command line, starting with the verb. */
  readonly command: readonly string[];
}

export function recordOf({ pipeline, summary, errors, command, preparing = null }: RunToRecord): RunRecord {
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
      preparing: preparing && preparingColumns(preparing, timeline.startedAt),
      errors,
    },
  };
}

/** A record with only the machine and the time. */
function emptyRecord(title: string, command: readonly string[], cards: readonly string[] = []): RunRecord {
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

/** A file named `model.json` or `model.onnx` gets the name of its folder. */
function modelName(path: string): string {
  const file = basename(path);
  return /^model\.\w+$/.test(file) ? basename(dirname(path)) || file : file;
}

function nameOf(name: string): string {
  return name.slice(0, 200);
}
