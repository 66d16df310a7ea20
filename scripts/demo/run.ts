/**
 * The demo: real digits through two pools at once, beside the same model unsplit and the same split one micro-batch at a time.
 *
 *   npm run demo [-- --rows N] [-- --engine tfjs|onnxruntime]
 */
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { printError } from '../../src/cli/fail.js';
import { parseCount } from '../../src/cli/stage-flag.js';
import { TandemError } from '../../src/errors.js';
import type { Summary } from '../../src/job/summary.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { readMachine } from '../../src/plan/machine.js';
import { makePlan, rowSpecsOf } from '../../src/plan/make-plan.js';
import type { Plan } from '../../src/plan/plan.js';
import { CLASSES, type Digits, readDigits } from './digits.js';
import { DEADLINE, measureRun } from './measured-run.js';
import {
  counted,
  faster,
  formatLoss,
  formatPictures,
  formatRun,
  formatStages,
  RATES_TITLE,
  wholeLabel,
} from './report.js';
import { countRight, readProbabilities, writeDigits } from './rows-file.js';
import { type DemoEngine, MODEL_FILES, type OnCard, runOnCard, runOnCpu, type WholeModel } from './whole-model.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MODEL = join(ROOT, 'scripts/demo/model');
const OUT = join(ROOT, 'out/demo');
const FILES = { unseen: join(OUT, 'unseen.npy'), whole: join(OUT, 'whole.npy'), split: join(OUT, 'split.npy') };

const DEFAULT_ROWS = 6400;
/** How far probabilities of the split and the whole model may lie apart; a card rounds otherwise than a CPU. */
const TOLERANCE = { cpu: 1e-5, gpu: 2e-2 } as const;

try {
  await demonstrate(readFlags());
} catch (error) {
  process.exitCode = printError(error);
}

interface Flags {
  readonly rows: number;
  /** To be tried in this order. */
  readonly engines: readonly DemoEngine[];
}

async function demonstrate({ rows, engines }: Flags): Promise<void> {
  const { train, unseen } = readDigits();
  mkdirSync(OUT, { recursive: true });
  writeDigits(FILES.unseen, unseen, rows);
  say('Handwritten digits (UCI optical digits, CC BY 4.0: scripts/demo/data/CREDITS.md), read by a small');
  say(
    `residual network that learned from ${counted(train.rows, 'row')} and has never seen the other ${unseen.rows}.\n`,
  );

  const whole = await runOnCpu(MODEL, engines, FILES.unseen, FILES.whole);
  const card = await runOnCard(whole.graph, FILES.unseen, join(OUT, 'card.npy'));
  tellWhere(whole, card);
  tellRows(whole.onCpu.summary, unseen);
  say(RATES_TITLE);
  for (const run of [whole.onCpu, card.run]) if (run) say(formatRun(wholeLabel(run), run));

  const plan = await planSplit(whole.graph, card.run ? 'gpu' : 'cpu');
  const oneAtATime = await measureRun(whole.graph, { ...plan, depth: 1 }, FILES.unseen, FILES.split);
  say(formatRun('two stages, one at a time', oneAtATime));
  const atOnce = await measureRun(whole.graph, plan, FILES.unseen, FILES.split);
  const best = card.run ? faster(whole.onCpu, card.run) : whole.onCpu;
  say(formatRun('two stages at once', atOnce, { 'one at a time': oneAtATime, 'the whole model': best }));
  const loss = formatLoss(atOnce, best);
  if (loss) say(loss);
  say();
  await tellAnswers(rows, unseen, TOLERANCE[card.run ? 'gpu' : 'cpu']);
  say(`\n${formatStages(atOnce.summary)}\n`);
  say(`${formatPictures(oneAtATime, atOnce)}\n`);
  tellNext(whole.engine);
}

function planSplit(graph: ModelGraph, first: 'gpu' | 'cpu'): Promise<Plan> {
  const stages = [{ device: first }, { device: 'cpu' }];
  return makePlan(graph, { stages, rowSpecs: rowSpecsOf(graph), deadline: DEADLINE });
}

function tellWhere({ engine, passedOver }: WholeModel, { run, whyNot }: OnCard): void {
  say(`engine   ${engine}`);
  if (passedOver) say(`         because ${passedOver.message}\n         ${passedOver.remedy}`);
  const { cores } = readMachine();
  say(`devices  ${run ? `${run.summary.stages[0]!.deviceName} and the CPU` : `two pools on the CPU: ${whyNot}`}`);
  if (cores === 1 && !run) say('         which has one core, so that two pools take turns and nothing can be gained');
}

function tellRows({ rows, microBatchRows }: Summary, { rows: distinct }: Digits): void {
  const times = Number((rows / distinct).toFixed(1));
  const repeated = times > 1 ? ` (the ${distinct} unseen ones, ${times} times over)` : '';
  say(`rows     ${rows.toLocaleString('en')}${repeated}, in micro-batches of ${microBatchRows}\n`);
}

/** Throws when the split has not given the whole model's answers. */
async function tellAnswers(rows: number, unseen: Digits, tolerance: number): Promise<void> {
  const [whole, split] = await Promise.all([
    readProbabilities(FILES.whole, rows),
    readProbabilities(FILES.split, rows),
  ]);
  const apart = split.reduce((most, value, n) => Math.max(most, Math.abs(value - whole[n]!)), 0);
  // Written so that NaN is refused too.
  if (!(apart <= tolerance)) {
    throw new TandemError('TANDEM_INTERNAL', `split and whole model differ by ${apart}`);
  }
  const distinct = Math.min(rows, unseen.rows);
  const right = countRight(split.subarray(0, distinct * CLASSES), unseen);
  const share = ((right / distinct) * 100).toFixed(1);
  const same =
    apart === 0 ? 'bit for bit those of the whole model' : `within ${apart.toExponential(0)} of the whole model's`;
  say(`accuracy ${share} % (${right} of ${distinct} unseen rows); the split's answers are ${same}`);
}

function tellNext(engine: DemoEngine): void {
  const here = (path: string) => relative(process.cwd(), path);
  say('Next, the same by hand:');
  const model = here(join(MODEL, MODEL_FILES[engine]));
  say(`  npx tandem run ${model} --input ${here(FILES.unseen)} --output ${here(join(OUT, 'answers.jsonl'))}`);
}

function readFlags(): Flags {
  const known = Object.keys(MODEL_FILES) as DemoEngine[];
  const usage = (message: string) =>
    new TandemError('TANDEM_USAGE', message, { remedy: `use --rows N, --engine ${known.join(' or --engine ')}` });
  const { rows, engine } = parsedFlags(usage);
  const engines = known.filter((name) => engine === undefined || name === engine);
  if (engines.length === 0) throw usage(`the demo has no model for the engine "${engine}"`);
  return { rows: rows === undefined ? DEFAULT_ROWS : parseCount(rows, '--rows'), engines };
}

function parsedFlags(usage: (message: string) => TandemError): { readonly rows?: string; readonly engine?: string } {
  try {
    return parseArgs({ options: { rows: { type: 'string' }, engine: { type: 'string' } } }).values;
  } catch (error) {
    throw usage((error as Error).message);
  }
}

function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}
