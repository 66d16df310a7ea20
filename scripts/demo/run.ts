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
import type { ModelGraph } from '../../src/model/graph.js';
import { readMachine } from '../../src/plan/machine.js';
import { makePlan, rowSpecsOf } from '../../src/plan/make-plan.js';
import { Contender, DEADLINE } from './contender.js';
import { CLASSES, type Digits, readDigits } from './digits.js';
import { type Contest, formatPictures, formatRates, formatStages } from './report.js';
import { countRight, readProbabilities, writeDigits } from './rows-file.js';
import { type DemoEngine, MODEL_FILES, type OnCard, type OnCpu, openOnCard, openOnCpu } from './whole-model.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MODEL = join(ROOT, 'scripts/demo/model');
const OUT = join(ROOT, 'out/demo');
const INPUT = join(OUT, 'unseen.npy');

/** Of each round. */
const DEFAULT_ROWS = 1280;
/** Contenders take turns, so that what else the machine does meanwhile falls on all of them. */
const ROUNDS = 3;
/** How far probabilities of the split and the whole model may lie apart; a card rounds otherwise than a CPU. */
const TOLERANCE = { cpu: 1e-5, gpu: 2e-2 } as const;

interface Flags {
  readonly rows: number;
  /** To be tried in this order. */
  readonly engines: readonly DemoEngine[];
}

const opened: Contender[] = [];
try {
  await demonstrate(readFlags());
} catch (error) {
  process.exitCode = printError(error);
} finally {
  await Promise.all(opened.map((contender) => contender.close()));
}

async function demonstrate({ rows, engines }: Flags): Promise<void> {
  const { train, unseen } = readDigits();
  mkdirSync(OUT, { recursive: true });
  writeDigits(INPUT, unseen, rows);
  say('Handwritten digits (UCI optical digits, CC BY 4.0: scripts/demo/data/CREDITS.md), read by a small');
  say(
    `residual network that learned from ${train.rows.toLocaleString('en')} rows and has never seen the other ${unseen.rows}.\n`,
  );

  const cpu = await openOnCpu(MODEL, engines, join(OUT, 'whole.npy'));
  opened.push(cpu.whole);
  const card = await openOnCard(cpu.graph, join(OUT, 'card.npy'));
  if (card.whole) opened.push(card.whole);
  tellWhere(cpu, card);
  const wholes = [...opened];
  const contest = { wholes, ...(await openSplits(cpu.graph, card.whole ? 'gpu' : 'cpu')) };
  tellRows(rows, unseen, contest);
  for (let round = 0; round < ROUNDS; round++) for (const contender of opened) await contender.run(INPUT);

  say(`${formatRates(contest)}\n`);
  await tellAnswers(rows, unseen, contest, TOLERANCE[card.whole ? 'gpu' : 'cpu']);
  say(`\n${formatStages(contest.atOnce)}\n\n${formatPictures(contest)}\n`);
  tellNext(cpu.engine);
}

/** The split that tandem makes for these devices, twice. */
async function openSplits(graph: ModelGraph, first: 'gpu' | 'cpu'): Promise<Pick<Contest, 'oneAtATime' | 'atOnce'>> {
  const stages = [{ device: first }, { device: 'cpu' }];
  const plan = await makePlan(graph, { stages, rowSpecs: rowSpecsOf(graph), deadline: DEADLINE });
  const oneAtATime = await Contender.open(graph, { ...plan, depth: 1 }, join(OUT, 'sequential.npy'));
  opened.push(oneAtATime);
  const atOnce = await Contender.open(graph, plan, join(OUT, 'split.npy'));
  opened.push(atOnce);
  return { oneAtATime, atOnce };
}

function tellWhere({ engine, passedOver }: OnCpu, card: OnCard): void {
  tell('engine', passedOver ? `${engine}\nbecause ${passedOver.message}\n${passedOver.remedy}` : engine);
  const oneCore =
    readMachine().cores === 1 ? '\nit has one core, so that they take turns and nothing can be gained' : '';
  tell(
    'devices',
    card.whole
      ? `${card.whole.pipeline.loaded[0]!.deviceName} and the CPU`
      : `two pools on the CPU: ${card.whyNot}${oneCore}`,
  );
}

function tellRows(rows: number, { rows: distinct }: Digits, { atOnce }: Contest): void {
  const times = Number((rows / distinct).toFixed(1));
  const repeated = times > 1 ? ` (the ${distinct} unseen, ${times} times)` : '';
  const { microBatch } = atOnce.pipeline.plan;
  tell(
    'rows',
    `${rows.toLocaleString('en')}${repeated} in micro-batches of ${microBatch}; ${ROUNDS} rounds each, in turn\n`,
  );
}

/** Throws when the split has not given the whole model's answers. */
async function tellAnswers(
  rows: number,
  unseen: Digits,
  { wholes, atOnce }: Contest,
  tolerance: number,
): Promise<void> {
  const [whole, split] = [
    await readProbabilities(wholes[0]!.output, rows),
    await readProbabilities(atOnce.output, rows),
  ];
  const apart = split.reduce((most, value, n) => Math.max(most, Math.abs(value - whole[n]!)), 0);
  // Not `apart > tolerance`, which NaN would pass.
  if (!(apart <= tolerance)) throw new TandemError('TANDEM_INTERNAL', `split and whole model differ by ${apart}`);
  const distinct = Math.min(rows, unseen.rows);
  const right = countRight(split.subarray(0, distinct * CLASSES), unseen);
  const share = ((right / distinct) * 100).toFixed(1);
  tell('accuracy', `${share} % (${right} of ${distinct} unseen rows)`);
  const same = apart === 0 ? 'to the bit' : `within ${apart.toExponential(0)} of`;
  tell('split', `answers are ${same} those of the whole model`);
}

function tellNext(engine: DemoEngine): void {
  const here = (path: string) => relative(process.cwd(), path);
  say('Next, the same by hand:');
  const model = here(join(MODEL, MODEL_FILES[engine]));
  say(`  npx tandem run ${model} --input ${here(INPUT)} --output ${here(join(OUT, 'answers.jsonl'))}`);
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

/** Text beside its subject; further lines stand under the first. */
function tell(subject: string, text: string): void {
  say(subject.padEnd(9) + text.replaceAll(/\n(?=.)/g, `\n${' '.repeat(9)}`));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
