/** `tandem plan` and `tandem profile`: the plan for a model, its expected rate, and the measurements behind it. */
import { Command, Option } from 'commander';
import { type MeasuringRequest, measuringRequest, planGiven, reportOf } from '../job/plan-model.js';
import { checkPlace } from '../job/report-files.js';
import type { RunSettings } from '../job/run-request.js';
import { formatLengths } from '../job/windows/lengths-report.js';
import { readMachine } from '../machine/machine.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import type { StageOptions } from '../plan/stage-options.js';
import { measure, type WantedAllocation } from '../planner/measure/measure.js';
import { heldToOneRow } from '../planner/measure/one-row.js';
import { allocationsOf } from '../planner/search/topology.js';
import { usableTopologies } from '../planner/settle.js';
import { FORMATS } from '../rows/format.js';
import { formatBytes } from './bytes.js';
import { FROM_TEXT, settingsOf } from './config.js';
import { printable } from './fail.js';
import { formatLayerName } from './layer-name.js';
import { formatMeasuredPlan } from './print-plan.js';
import { formatPlan } from './print-run.js';
import { formatSchedule, scheduleOf } from './print-schedule.js';
import { ProgressBar, planningNotes } from './progress.js';
import { carryOption, columnOption, imageOption, rowsAxisOption, setOption, windowOption } from './run-flags.js';
import { formatTable } from './table.js';

interface Flags extends Pick<RunSettings, 'set' | 'rowsAxis' | 'image' | 'column' | 'window' | 'carry'> {
  readonly input?: readonly string[];
  readonly inputFormat?: string;
  readonly stage?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  /** Seconds. */
  readonly deadline?: number;
  readonly isolation?: 'auto' | 'thread' | 'process';
  readonly allowFallback?: boolean;
  readonly output?: string;
  readonly json?: boolean;
  readonly schedule?: boolean;
}

export function planCommand(): Command {
  return measuringCommand('plan', 'measure the model on this machine and print the best plan and its rate')
    .option('-o, --output <file>', 'write the plan, for: tandem run --plan FILE')
    .option('--schedule', 'also print which stage computes which micro-batch when')
    .action(async (path: string, flags: Flags) => {
      if (flags.output) await checkPlace(flags.output);
      const bar = new ProgressBar(process.stderr);
      const asked = await requestOf(path, flags);
      const { graph, plan } = await planGiven(asked, planningNotes(bar)).finally(() => bar.clear());
      const { rows, lengths } = asked;
      const text = plan.expected ? formatMeasuredPlan(graph, plan, plan.expected, rows) : formatPlan(graph, plan);
      const rowLengths = lengths ? `${formatLengths(plan, lengths.windows.survey, rows)}\n` : '';
      const schedule = flags.schedule ? scheduleOf(graph, plan, rows) : null;
      const report = { ...reportOf(plan, asked), ...(schedule ? { schedule } : {}) };
      const grid = schedule ? formatSchedule(plan, schedule, rows) : '';
      process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : text + rowLengths + grid);
      if (flags.output) (await import('../plan/plan-file.js')).writePlanFile(flags.output, graph, plan);
    });
}

export function profileCommand(): Command {
  return measuringCommand(
    'profile',
    'time the layers of a model on this machine, in the engine that would run them',
  ).action(async (path: string, flags: Flags) => {
    const bar = new ProgressBar(process.stderr);
    const { graph: read, request } = await requestOf(path, flags);
    const { graph, measured } = await heldToOneRow(read, request, async (held) => ({
      graph: held,
      measured: await profileOf(held, request, bar),
    })).finally(() => bar.clear());
    process.stdout.write(flags.json ? `${JSON.stringify(measured)}\n` : formatProfile(graph, measured));
  });
}

/** Measures on every device that a plan may use, and gives the reason for each that it cannot use. */
async function profileOf(graph: ModelGraph, request: MeasuringRequest['request'], bar: ProgressBar) {
  const looking = { ...request, onProgress: (text: string) => bar.note(text) };
  const { topologies, absent } = await usableTopologies(graph, looking, readMachine().cores);
  const [first, ...others] = allocationsOf(topologies);
  const onProgress = (done: number, total: number, what: string) => bar.note(`measuring ${done}/${total}: ${what}`);
  const allocations = [inParts(first), ...others.map(inParts)] as const;
  const { missing, ...measured } = await measure(graph, { ...request, allocations, onProgress });
  const lost = [...missing].map(([name, error]) => ({ name, why: error.message }));
  return { ...measured, absent: [...absent.map(({ name, why }) => ({ name, why })), ...lost] };
}

const inParts = (allocation: WantedAllocation): WantedAllocation => ({ ...allocation, wholeOnly: false });

function measuringCommand(name: string, description: string): Command {
  const { stages, microBatch, depth, deadline, isolation } = FROM_TEXT;
  const setting = (flags: string, what: string, read: (text: string, where: string) => unknown) => {
    const option = new Option(flags, what);
    return option.argParser((text) => read(text, option.long!));
  };
  return new Command(name)
    .description(description)
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option('-i, --input <file>', 'rows, if the model leaves dimensions open', (text, all: string[] = []) => [
      ...all,
      text,
    ])
    .addOption(setOption())
    .addOption(rowsAxisOption())
    .addOption(imageOption())
    .addOption(columnOption())
    .addOption(windowOption())
    .addOption(carryOption())
    .option('--input-format <format>', `${FORMATS.join(', ')}, if the file's name does not show it`)
    .option(
      '-s, --stage <device,key=value…>',
      'a stage, as of tandem run',
      (text, before: readonly StageOptions[] = []) => [...before, ...stages(text, '--stage')],
    )
    .addOption(setting('-b, --micro-batch <rows>', 'rows of a micro-batch (default: measured)', microBatch))
    .addOption(setting('--depth <n>', 'micro-batches in flight (default: enough for all)', depth))
    .addOption(
      setting('--deadline <seconds>', 'longest that a micro-batch may take in a stage (default: 600)', deadline),
    )
    .addOption(setting('--isolation <where>', 'where stages live: auto, thread, process (default: auto)', isolation))
    .option('--allow-fallback', 'let a gpu stage be measured on another device')
    .option('--json', 'print one JSON object');
}

function requestOf(path: string, { input, inputFormat, ...flags }: Flags): Promise<MeasuringRequest> {
  return measuringRequest(path, { ...settingsOf({ ...flags, stages: flags.stage }), input, inputFormat });
}

type Measured = Awaited<ReturnType<typeof profileOf>>;

function formatProfile(graph: ModelGraph, { profile, cases, microBatch, absent }: Measured): string {
  const columns = [
    { title: 'layers' },
    { title: 'times', right: true },
    { title: 'weights', right: true },
    ...cases.map(({ device, atOnce, threads }) => ({ title: `${device}, ${atOnce} x ${threads}: ms`, right: true })),
  ];
  const rows = [...new Set(profile.segments.map(({ kind }) => kind))].map((kind) => {
    const same = profile.segments.filter((segment) => segment.kind === kind);
    const { layers, ops } = same[0]!;
    const name = formatLayerName(graph.layers[layers.from]!.name);
    return [
      `${layers.from === layers.to ? layers.from : `${layers.from}..${layers.to}`} ${name}`,
      String(same.length),
      formatBytes(weightBytes(graph, ops.from, ops.to)),
      ...cases.map((each) => (each.kinds[kind]!.seconds * 1e3).toPrecision(3)),
    ];
  });
  const whole = cases.map(({ whole: timing }) => (timing ? (timing.seconds * 1e3).toPrecision(3) : ''));
  rows.push(['the whole model', '1', formatBytes(weightBytes(graph, 0, graph.ops.length)), ...whole]);
  const peaks = cases.map(({ whole: timing }) => (timing?.peakBytes ? formatBytes(timing.peakBytes) : ''));
  rows.push(['its process', '', '', ...peaks]);
  const missing = absent.map(({ name, why }) => `${printable(name)}: ${printable(why)}\n`).join('');
  return `${formatTable(columns, rows)}\nmicro-batches of ${microBatch}; a x b: a workers of b threads at once\n${missing}`;
}
