/** tandem as `tandem run` starts it: from the process's start until the first micro-batch is accepted, and done. */
import '../../src/cli/run.js';
import { openModel } from '../../src/model/open.js';
import type { Feed } from '../../src/pipeline/micro-batch.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { makePlan } from '../../src/plan/make-plan.js';
import { micros } from '../../src/pool/protocol.js';
import type { Marks, StartAsk } from '../start-time.js';

const { path, rows, free, isolation, layers = 0 } = JSON.parse(process.argv[2]!) as StartAsk;
const marks: [string, number][] = [['node runs', micros()]];
const mark = (name: string) => marks.push([name, micros()]);

const graph = await openModel(path);
mark('graph read');
const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: input.shape.slice(1).map((dim) => dim ?? free) }));
const stages = [
  { device: 'cpu', threads: 1, layers: { from: 0, to: layers - 1 } },
  { device: 'cpu', threads: 1, layers: { from: layers, to: graph.layers.length - 1 } },
];
const deadline = 600_000;
const plan = await makePlan(graph, { stages, isolation, microBatch: rows, rowSpecs, deadline });
mark('planned');
const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadline });
mark('stages loaded');
await pipeline.warmUp(rowSpecs, { compute: false });
mark('arena laid out');
let left = 1;
const feed: Feed = { fill: async (into) => (left-- > 0 ? into[0]!.shape[0]! : 0) };
for await (const _ of pipeline.run(feed));
const { spans } = pipeline.timeline;
marks.push(['first micro-batch accepted', spans[0]!.acceptedAt]);
const computing = spans.reduce((sum, { acceptedAt, finishedAt }) => sum + finishedAt - acceptedAt, 0);
marks.push(['it is done, less its computing', micros() - computing]);
process.send!(marks satisfies Marks);
await pipeline.close();
process.disconnect();
