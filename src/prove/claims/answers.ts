/** Claim 3: a model with convolutions and BERT have the same answers on the card as on the CPU. */
import { type Finding, judged, OutOfTime, RunFailed } from '../claim.js';
import { floatsOf, largestDifference } from '../npy.js';
import { MICRO_BATCH, type Setting, stageOn } from '../setting.js';
import { type Name, OUTPUTS } from '../subjects.js';
import { rate } from '../words.js';

const ROWS = 64;

/** Of the largest answer. Cards that multiply with fewer bits (TF32) differ by some thousandths. */
const TOLERANCE = 0.01;

export async function answersAreTheSame(setting: Setting): Promise<Finding> {
  const { command, subjects, providers, measured } = setting;
  const said: string[] = [];
  let holds = true;
  for (const name of ['BERT', 'ResNet'] as const satisfies readonly Name[]) {
    const args = [...subjects.rows(name, ROWS), '--keep', OUTPUTS[name], ...MICRO_BATCH];
    const onCpu = await command.run(subjects.model(name), [...args, '-s', 'cpu'], { out: `${name}-cpu.npy` });
    const right = floatsOf(command.read(`${name}-cpu.npy`));
    if (name === 'BERT') said.push(`${ROWS} rows; CPU ${rate(onCpu.rowsPerSecond)}`);
    for (const { name: provider } of providers) {
      try {
        const out = `${name}-${provider}.npy`;
        const summary = await command.run(subjects.model(name), [...args, '-s', stageOn(setting, provider)], { out });
        const difference = largestDifference(right, floatsOf(command.read(out)));
        holds &&= difference <= TOLERANCE;
        if (name === 'BERT') measured.rowsPerSecond.set(provider, summary.rowsPerSecond);
        const [card] = summary.cards;
        if (name === 'BERT' && card?.heldBytes) measured.heldBytes.set(provider, card.heldBytes);
        said.push(
          `${name} by ${provider}: largest difference ${difference.toExponential(1)} of the largest answer, ${rate(summary.rowsPerSecond)}`,
        );
      } catch (error) {
        if (error instanceof OutOfTime || !(error instanceof RunFailed)) throw error;
        holds = false;
        said.push(`${name} by ${provider}: ${error.message}`);
      }
    }
  }
  return judged(holds, said.join('; '));
}
