/** Runs tandem as `tandem run` starts it, from the start of the process until the first micro-batch is accepted and done. */
import { stopOnSignals } from '../../src/cli/signals.js';
import { runJob } from '../../src/job/job.js';
import { type Opened, openRun, type Running } from '../../src/job/open-run.js';
import { micros } from '../../src/pool/protocol.js';
import type { Marks, StartAsk } from '../start-time.js';

// The modules that the command line loads.
await import('../../src/cli/run-flags.js');
await import('../../src/cli/run.js');

const {
  path,
  rows,
  isolation,
  layers = 0,
  end = 0,
  input = [],
  output = '',
} = JSON.parse(process.argv[2]!) as StartAsk;
const marks: [string, number][] = [['node runs', micros()]];

const stages = [
  { device: 'cpu', threads: 1, layers: { from: 0, to: layers - 1 } },
  { device: 'cpu', threads: 1, layers: { from: layers, to: end } },
];
const request = { model: path, input, output, stages, isolation, microBatch: rows, deadline: 600 };
const opened: Opened = {};
const signals = stopOnSignals(() => {});
await openRun(request, opened, { listener: {}, stop: signals });
marks.push(['stages loaded, files open', micros()]);
const { pipeline, source, sink, claim } = opened as Running;
await runJob({ pipeline, source, sink });
const spans = [...pipeline.timeline.spans];
marks.push(['first micro-batch accepted', spans[0]!.acceptedAt]);
process.send!(marks satisfies Marks);
await claim?.release();
await pipeline.close();
await source.close();
signals.release();
process.disconnect();
