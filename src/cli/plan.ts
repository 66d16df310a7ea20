/** `tandem plan` and `tandem profile`: what would run, how fast it would be, and what was measured to know it. */
import { Command, Option } from 'commander';
import { TandemError } from '../errors.js';
import { openSource } from '../job/open-source.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { promiseOf } from '../pipeline/promise.js';
import { settlePlan, usableForms } from '../pipeline/settle-plan.js';
import { staffingsOf } from '../plan/form.js';
import { readMachine } from '../plan/machine.js';
import { rowSpecsOf } from '../plan/make-plan.js';
import { measure, type WantedStaffing } from '../plan/measure.js';
import type { StageOptions } from '../plan/plan.js';
import type { TensorSpec } from '../tensor.js';
import { formatBytes } from './bytes.js';
import { FROM_TEXT, settingsOf } from './config.js';
import { printable } from './fail.js';
import { inputsOf } from './input-flag.js';
import { formatLayerName } from './layer-name.js';
import { formatMeasuredPlan } from './print-plan.js';
import { formatPlan } from './print-run.js';
import { ProgressBar } from './progress.js';
import { checkPlace } from './report-files.js';
import { formatTable } from './table.js';

interface Flags {
  readonly input?: readonly string[];
  readonly inputFormat?: string;
  readonly stage?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  readonly isolation?: 'auto' | 'thread' | 'process';
  readonly allowFallback?: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

const DEADLINE = 600_000;

export function planCommand(): Command {
  return measuringCommand('plan', 'measure the model on this machine and say how it would be run, and how fast')
    .option('-o, --output <file>', 'write the plan, for: tandem run --plan FILE')
    .action(async (path: string, flags: Flags) => {
      if (flags.output) await checkPlace(flags.output);
      const bar = new ProgressBar(process.stderr);
      const { graph, request } = await requestOf(path, flags);
      const plan = await settlePlan(graph, { ...request, onProgress: (text) => bar.note(text) }).finally(() =>
        bar.clear(),
      );
      const { rows } = request;
      const text = plan.expected ? formatMeasuredPlan(graph, plan, plan.expected, rows) : formatPlan(graph, plan);
      const promised = rows === null ? null : promiseOf(plan, rows);
      const told = { schema: 1, ...plan, ...(promised ? { job: { rows, ...promised } } : {}) };
      process.stdout.write(flags.json ? `${JSON.stringify(told)}\n` : text);
      if (flags.output) (await import('../plan/plan-file.js')).writePlanFile(flags.output, graph, plan);
    });
}

export function profileCommand(): Command {
  return measuringCommand(
    'profile',
    'time the layers of a model on this machine, in the engine that would run them',
  ).action(async (path: string, flags: Flags) => {
    const bar = new ProgressBar(process.stderr);
    const { graph, request } = await requestOf(path, flags);
    const told = await profileOf(graph, request, bar).finally(() => bar.clear());
    process.stdout.write(flags.json ? `${JSON.stringify(told)}\n` : formatProfile(graph, told));
  });
}

/** Every device that a plan may use, and why others cannot be. */
async function profileOf(
  graph: ModelGraph,
  request: Awaited<ReturnType<typeof requestOf>>['request'],
  bar: ProgressBar,
) {
  const looking = { ...request, onProgress: (text: string) => bar.note(text) };
  const { forms, absent } = await usableForms(graph, looking, readMachine().cores);
  const [first, ...others] = staffingsOf(forms);
  const onProgress = (done: number, total: number, what: string) => bar.note(`measuring ${done}/${total}: ${what}`);
  const staffings = [inParts(first), ...others.map(inParts)] as const;
  const { missing, ...measured } = await measure(graph, { ...request, staffings, onProgress });
  const lost = [...missing].map(([name, error]) => ({ name, why: error.message }));
  return { ...measured, absent: [...absent.map(({ name, why }) => ({ name, why })), ...lost] };
}

const inParts = (staffing: WantedStaffing): WantedStaffing => ({ ...staffing, wholeOnly: false });

function measuringCommand(name: string, description: string): Command {
  const { stages, microBatch, depth, isolation } = FROM_TEXT;
  const setting = (flags: string, what: string, read: (text: string, where: string) => unknown) => {
    const option = new Option(flags, what);
    return option.argParser((text) => read(text, option.long!));
  };
  return new Command(name)
    .description(description)
    .argument('<model>', 'model.json, model.onnx, or a folder that holds one')
    .option(
      '-i, --input <file>',
      'rows that tell the dimensions which the model leaves open',
      (text, all: string[] = []) => [...all, text],
    )
    .option('--input-format <format>', 'jsonl, npy or npz, where the name does not tell')
    .option(
      '-s, --stage <device,key=value…>',
      'a stage, as of tandem run',
      (text, before: readonly StageOptions[] = []) => [...before, ...stages(text, '--stage')],
    )
    .addOption(setting('-b, --micro-batch <rows>', 'rows that travel together (default: measured)', microBatch))
    .addOption(setting('--depth <n>', 'micro-batches in flight (default: enough for all)', depth))
    .addOption(setting('--isolation <where>', 'where stages live: auto, thread, process (default: auto)', isolation))
    .option('--allow-fallback', 'let a gpu stage be measured on what is there instead')
    .option('--json', 'print one JSON object');
}

async function requestOf(path: string, flags: Flags) {
  const settings = settingsOf({ ...flags, stages: flags.stage });
  const graph = await openModel(path);
  const { rowSpecs, rows } = await rowsOf(graph, flags);
  const allowFallback = settings.allowFallback ?? false;
  return { graph, request: { ...settings, rowSpecs, rows, allowFallback, deadline: DEADLINE } };
}

/** One row's shapes: the model's own, or those of the first row of a file. */
async function rowsOf(
  graph: ModelGraph,
  { input, inputFormat }: Flags,
): Promise<{ rowSpecs: readonly TensorSpec[]; rows: number | null }> {
  if (input) {
    const source = await openSource(inputsOf(graph.inputs, input), graph.inputs, { format: inputFormat });
    await source.close();
    return { rowSpecs: source.rowSpecs, rows: source.rows };
  }
  const rowSpecs = rowSpecsOf(graph);
  if (rowSpecs) return { rowSpecs, rows: null };
  throw new TandemError('TANDEM_USAGE', 'the model leaves dimensions open, which only rows can tell', {
    remedy: 'give some rows with --input FILE',
  });
}

type Told = Awaited<ReturnType<typeof profileOf>>;

function formatProfile(graph: ModelGraph, { profile, cases, microBatch, absent }: Told): string {
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
  rows.push(['its process holds', '', '', ...peaks]);
  const missing = absent.map(({ name, why }) => `${printable(name)}: ${printable(why)}\n`).join('');
  return `${formatTable(columns, rows)}\nmicro-batches of ${microBatch}; a x b: a workers of b threads at once\n${missing}`;
}
