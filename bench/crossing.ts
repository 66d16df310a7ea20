/** Bench: what a tensor's way from one stage to the next costs, by its size: node dist/bench/crossing.js [--mebibytes 1 --mebibytes 32] */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { spread } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';
import { processorName } from '../src/machine/processor.js';
import type { ModelGraph } from '../src/model/graph.js';
import type { Feed } from '../src/pipeline/micro-batch.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import type { Plan } from '../src/plan/plan.js';
import { median } from '../src/planner/measure/median.js';
import type { Isolation } from '../src/pool/isolation.js';

const { values: flags } = parseArgs({
  options: {
    mebibytes: { type: 'string', multiple: true, default: ['0', '1', '4', '32'] },
    crossings: { type: 'string', default: '25' },
  },
});
const crossings = Number(flags.crossings);
process.env.TANDEM_ENGINE_MODULE = new URL('./passing-engine.js', import.meta.url).href;

/** x -> t -> y, `elements` float32 a row, which nothing changes. */
function passingGraph(elements: number): ModelGraph {
  const names = ['x', 't', 'y'];
  const ops = [0, 1].map((index) => ({
    ...{ index, name: `pass${index}`, type: 'Identity', weights: [] },
    ...{ inputs: [names[index]!], outputs: [names[index + 1]!] },
  }));
  return {
    ...{ format: 'onnx', path: fileURLToPath(import.meta.url), folder: '.', fixedBatch: null, batchInvariant: true },
    inputs: [{ name: 'x', dtype: 'float32', shape: [null, elements] }],
    outputs: ['y'],
    ops,
    layers: ops.map(({ index, name, type }) => ({ index, name, type, from: index, to: index + 1 })),
    weights: new Map(),
    files: [],
    forbiddenCuts: new Set(),
  };
}

function planOf(isolation: Isolation): Plan {
  const stage = { device: 'cpu', engine: 'custom', provider: 'custom', threads: 1, workers: 1 } as const;
  const stages = [0, 1].map((j) => ({ ...stage, layers: { from: j, to: j }, ops: { from: j, to: j + 1 } }));
  return { stages, microBatch: 1, depth: 1, isolation, cutBy: 'layers' };
}

/** Milliseconds of each crossing: from the one worker's last byte to the other worker's first. The first few warm up. */
async function cross(elements: number, isolation: Isolation): Promise<number[]> {
  const settings = { allowFallback: false, deadlineMs: 60_000 };
  const pipeline = await Pipeline.open(passingGraph(elements), planOf(isolation), settings);
  try {
    await pipeline.warmUp([{ name: 'x', dtype: 'float32', shape: [elements] }]);
    let left = crossings + 3;
    const feed: Feed = { fill: async () => (left-- > 0 ? 1 : 0) };
    for await (const _ of pipeline.run(feed));
    const second = pipeline.timeline.spans.filter(({ stage }) => stage === 1);
    return second.slice(3).map(({ readyAt, acceptedAt }) => (acceptedAt - readyAt) / 1e3);
  } finally {
    await pipeline.close();
  }
}

const rows: string[][] = [];
for (const size of flags.mebibytes) {
  for (const isolation of ['thread', 'process'] as const) {
    const times = await cross(Math.max(16, Number(size) * 2 ** 18), isolation);
    rows.push([`${size} MiB`, isolation, median(times).toFixed(2), `${(spread(times) * 100).toFixed(0)} %`]);
  }
}
const columns = ['live at the cut', 'stages in', 'ms', '±'].map((title, c) => ({ title, right: c > 1 }));
process.stdout.write(
  `${processorName()} x ${cpus().length}, Node ${process.versions.node}; median of ${crossings} crossings, one at a time\n\n${formatTable(columns, rows)}\n`,
);
