/** Claim 5: a card with room for half of the weights computes at the same time as the CPU, as fast as planned. */
import type { Summary } from '../../job/summary.js';
import { type Finding, judged } from '../claim.js';
import { failure } from '../command.js';
import { MICRO_BATCH, rowsFor, type Setting, stageOn } from '../setting.js';
import { OUTPUTS } from '../subjects.js';
import { mebibytes, percent, rate } from '../words.js';

const SHARE = 0.5;

/** Of what was measured. */
const NEAR = 0.1;

const SECONDS = 6;

export async function splitPays(setting: Setting): Promise<Finding> {
  const { command, subjects, measured, providers } = setting;
  const weights = await subjects.weights('BERT');
  // What the card holds besides the weights counts as well.
  const besides = Math.max(0, (measured.heldBytes.get(providers[0].name) ?? weights) - weights);
  const model = subjects.model('BERT');
  const rows = subjects.rows('BERT', rowsFor(setting, SECONDS, 1024));
  const args = [...rows, '--keep', OUTPUTS.small, ...MICRO_BATCH];
  const first = await firstThatFits(setting, model, args, mebibytes(SHARE * weights + besides));
  const stages = first.summary.stages.flatMap(({ device, provider, layers }) => [
    '-s',
    `${device},provider=${provider},layers=${layers.from}..${layers.to}`,
  ]);
  const oneByOne = await command.run(model, [...args, ...stages, '--depth', '1']);
  const { rowsPerSecond, planned, predicted, bubble } = first.summary;
  const gain = rowsPerSecond / oneByOne.rowsPerSecond;
  const expected = (planned ?? predicted).rowsPerSecond;
  const off = Math.abs(expected - rowsPerSecond) / rowsPerSecond;
  const [card, cpu] = first.summary.stages;
  const where = cpu
    ? `layers ${card!.layers.from} to ${card!.layers.to} of ${card!.layers.of} on the card`
    : 'one stage';
  measured.comparisons.push({
    title: 'The card and the CPU at once',
    unit: 'rows/s',
    note: `${where}, memory=${first.memory}; planned ${rate(expected)}`,
    cases: [
      { name: 'at once', value: rowsPerSecond, emphasis: true },
      { name: 'one micro-batch at a time', value: oneByOne.rowsPerSecond },
    ],
  });
  return judged(
    gain > 1 && off <= NEAR,
    `${where}, memory=${first.memory}: ${rate(rowsPerSecond)} against ${rate(oneByOne.rowsPerSecond)} one at a time, ${gain.toFixed(2)} times; ${planned ? 'planned' : 'predicted'} ${rate(expected)}, ${percent(off)} off; bubble ${percent(bubble.measured)}`,
  );
}

/** With the budget that a refusal names, if it is more. */
async function firstThatFits({ command, ...setting }: Setting, model: string, args: readonly string[], memory: string) {
  const stages = (budget: string) => ['-s', `${stageOn({ command, ...setting })},memory=${budget}`, '-s', 'cpu'];
  const run = (budget: string) =>
    command.end(command.runArguments(model, [...args, ...stages(budget)]), { measured: true });
  let ended = await run(memory);
  let used = memory;
  const more = /memory=(\d+MiB)/.exec(ended.stderr.split('tandem: ').at(-1) ?? '')?.[1];
  if (ended.status !== 0 && more) {
    used = more;
    ended = await run(more);
  }
  if (ended.status !== 0) throw failure(ended);
  return { summary: JSON.parse(ended.stdout) as Summary, memory: used };
}
