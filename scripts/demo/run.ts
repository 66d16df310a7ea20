/**
 * The demo: runs real digits through two pools at once, and compares with the unsplit model and with the split one micro-batch at a time.
 *
 *   npm run demo [-- --rows N] [-- --engine tfjs|onnxruntime]
 *   npm run demo -- texts ["a question" …]      sentences instead of digits: scripts/demo/texts.ts
 */
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { printError } from '../../src/cli/fail.js';
import { TandemError } from '../../src/errors.js';
import { readMachine } from '../../src/machine/machine.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { parseCount } from '../../src/plan/count.js';
import { makePlan, rowSpecsOf } from '../../src/planner/make-plan.js';
import { Candidate, DEADLINE_MS } from './candidate.js';
import { CLASSES, type Digits, readDigits } from './digits.js';
import { type Comparison, formatPictures, formatRates, formatStages } from './report.js';
import { countRight, readProbabilities, writeDigits } from './rows-file.js';
import { type DemoEngine, MODEL_FILES, type OnCard, type OnCpu, openOnCard, openOnCpu } from './whole-model.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MODEL = join(ROOT, 'scripts/demo/model');
const OUT = join(ROOT, 'out/demo');
const INPUT = join(OUT, 'unseen.npy');

/** Rows of each round. */
const DEFAULT_ROWS = 1280;
/** Rounds of the candidates are interleaved, so that other load on the machine affects all of them. */
const ROUNDS = 3;
/** Largest allowed difference of probabilities between the split and the whole model; a card rounds differently from a CPU. */
const TOLERANCE = { cpu: 1e-5, gpu: 2e-2 } as const;

interface Flags {
  readonly rows: number;
  /** Engines in the order in which they are tried. */
  readonly engines: readonly DemoEngine[];
}

const opened: Candidate[] = [];
try {
  const [kind, ...questions] = process.argv.slice(2);
  if (kind === 'texts') process.exitCode = await (await import('./texts.js')).demonstrateTexts(questions);
  else await demonstrate(readFlags());
} catch (error) {
  process.exitCode = printError(error);
} finally {
  await Promise.all(opened.map((candidate) => candidate.close()));
}

async function demonstrate({ rows, engines }: Flags): Promise<void> {
  const { train, unseen } = readDigits();
  mkdirSync(OUT, { recursive: true });
  writeDigits(INPUT, unseen, rows);
  say('Handwritten digits (UCI optical digits, CC BY 4.0: scripts/demo/data/CREDITS.md), read by a small');
  say(
    `residual network that was trained on ${train.rows.toLocaleString('en')} rows and has never seen the other ${unseen.rows}.\n`,
  );

  const cpu = await openOnCpu(MODEL, engines, join(OUT, 'whole.npy'));
  opened.push(cpu.whole);
  const card = await openOnCard(cpu.graph, join(OUT, 'card.npy'));
  if (card.whole) opened.push(card.whole);
  printDevices(cpu, card);
  const wholes = [...opened];
  const comparison = { wholes, ...(await openSplits(cpu.graph, card.whole ? 'gpu' : 'cpu')) };
  printRows(rows, unseen, comparison);
  for (let round = 0; round < ROUNDS; round++) for (const candidate of opened) await candidate.run(INPUT);

  say(`${formatRates(comparison)}\n`);
  await printAnswers(rows, unseen, comparison, TOLERANCE[card.whole ? 'gpu' : 'cpu']);
  say(`\n${formatStages(comparison.atOnce)}\n\n${formatPictures(comparison)}\n`);
  printCommand(cpu.engine);
}

/** Opens the split that tandem plans for these devices twice: with depth 1 and pipelined. */
async function openSplits(graph: ModelGraph, first: 'gpu' | 'cpu'): Promise<Pick<Comparison, 'oneAtATime' | 'atOnce'>> {
  const stages = [{ device: first }, { device: 'cpu' }];
  const plan = await makePlan(graph, { stages, rowSpecs: rowSpecsOf(graph), deadlineMs: DEADLINE_MS });
  const oneAtATime = await Candidate.open(graph, { ...plan, depth: 1 }, join(OUT, 'sequential.npy'));
  opened.push(oneAtATime);
  const atOnce = await Candidate.open(graph, plan, join(OUT, 'split.npy'));
  opened.push(atOnce);
  return { oneAtATime, atOnce };
}

function printDevices({ engine, skipped }: OnCpu, card: OnCard): void {
  printFact('engine', skipped ? `${engine}\nbecause ${skipped.message}\n${skipped.remedy}` : engine);
  const oneCore = readMachine().cores === 1 ? '\nit has one core, so the pools cannot compute at the same time' : '';
  printFact(
    'devices',
    card.whole
      ? `${card.whole.pipeline.loaded[0]!.deviceName} and the CPU`
      : `two pools on the CPU: ${card.whyNot}${oneCore}`,
  );
}

function printRows(rows: number, { rows: distinct }: Digits, { atOnce }: Comparison): void {
  const times = Number((rows / distinct).toFixed(1));
  const repeated = times > 1 ? ` (the ${distinct} unseen, ${times} times)` : '';
  const { microBatch } = atOnce.pipeline.plan;
  printFact(
    'rows',
    `${rows.toLocaleString('en')}${repeated} in micro-batches of ${microBatch}; ${ROUNDS} interleaved rounds each\n`,
  );
}

/** Throws if the answers of the split differ from those of the whole model. */
async function printAnswers(
  rows: number,
  unseen: Digits,
  { wholes, atOnce }: Comparison,
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
  printFact('accuracy', `${share} % (${right} of ${distinct} unseen rows)`);
  const same = apart === 0 ? 'to the bit' : `within ${apart.toExponential(0)} of`;
  printFact('split', `answers are ${same} those of the whole model`);
}

function printCommand(engine: DemoEngine): void {
  const here = (path: string) => relative(process.cwd(), path);
  say('To run the same by hand:');
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

/** Prints a subject and its text; further lines are indented under the first. */
function printFact(subject: string, text: string): void {
  say(subject.padEnd(9) + text.replaceAll(/\n(?=.)/g, `\n${' '.repeat(9)}`));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
