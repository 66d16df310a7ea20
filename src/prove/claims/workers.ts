/** Claim 6: two workers on the card are at least as fast as one: one computes while the other copies. */
import { type Finding, judged } from '../claim.js';
import { MICRO_BATCH, rowsFor, type Setting, stageOn } from '../setting.js';
import { OUTPUTS } from '../subjects.js';
import { rate } from '../words.js';

/** What a busy machine does. */
const EVEN = 0.97;

const SECONDS = 5;

export async function twoWorkersAreFaster(setting: Setting): Promise<Finding> {
  const { command, subjects, providers, measured } = setting;
  const rows = subjects.rows('BERT', rowsFor(setting, SECONDS, 2048));
  const args = [...rows, '--keep', OUTPUTS.small, ...MICRO_BATCH];
  const stage = stageOn(setting);
  // Some providers have one worker in a process: two replicas are two processes.
  const { onePerProcess } = providers[0];
  const two = onePerProcess ? [`${stage}+${stage}`, '--isolation', 'process'] : [`${stage},workers=2`];
  const first = await command.run(subjects.model('BERT'), [...args, '-s', `${stage},workers=1`]);
  const both = await command.run(subjects.model('BERT'), [...args, '-s', ...two]);
  const gain = both.rowsPerSecond / first.rowsPerSecond;
  measured.comparisons.push({
    title: 'Workers on the card',
    unit: 'rows/s',
    cases: [
      { name: 'one', value: first.rowsPerSecond },
      { name: onePerProcess ? 'two, in processes' : 'two', value: both.rowsPerSecond, emphasis: gain > 1 },
    ],
  });
  return judged(
    gain >= EVEN,
    `one ${rate(first.rowsPerSecond)}, two${onePerProcess ? ' in processes of their own' : ''} ${rate(both.rowsPerSecond)}: ${gain.toFixed(2)} times`,
  );
}
