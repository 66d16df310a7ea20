/** Claims 4 and 7: a stage holds no more on the card than `memory=`, and a budget that is too small is refused with one that suffices. */

import { type Finding, judged, notTried } from '../claim.js';
import { type Ended, failure } from '../command.js';
import { MICRO_BATCH, type Setting, stageOn } from '../setting.js';
import { OUTPUTS } from '../subjects.js';
import { gibibytes, mebibytes } from '../words.js';

const ROWS = 64;

/** Above what was held without a budget. */
const ROOM = 1.1;

export async function budgetIsKept(setting: Setting): Promise<Finding> {
  const { command, subjects, providers, measured } = setting;
  const said: string[] = [];
  let holds = true;
  for (const { name } of providers) {
    const before = measured.heldBytes.get(name);
    if (before === undefined) continue;
    const budget = Math.ceil((ROOM * before) / 2 ** 20) * 2 ** 20;
    const stage = `${stageOn(setting, name)},memory=${mebibytes(budget)}`;
    const args = [...subjects.rows('BERT', ROWS), '--keep', OUTPUTS.small, ...MICRO_BATCH, '-s', stage];
    const summary = await command.run(subjects.model('BERT'), args);
    const held = summary.cards[0]?.heldBytes ?? 0;
    holds &&= held > 0 && held <= budget;
    said.push(`${name}: held ${gibibytes(held)} of memory=${mebibytes(budget)}`);
  }
  if (said.length === 0) return notTried('the driver does not report what a process holds on the card');
  return judged(holds, said.join('; '));
}

/** A budget that no model fits into. */
const TOO_SMALL = '1KiB';

const IMPOSSIBLE = 78;

export async function tooSmallIsRefused(setting: Setting): Promise<Finding> {
  const { command, subjects } = setting;
  const runWith = (memory: string): Promise<Ended> => {
    const stage = `${stageOn(setting)},memory=${memory}`;
    const args = [...subjects.rows('BERT', ROWS), '--keep', OUTPUTS.small, ...MICRO_BATCH, '-s', stage];
    return command.end(command.runArguments(subjects.model('BERT'), args));
  };
  const refused = await runWith(TOO_SMALL);
  const enough = /memory=(\d+MiB)/.exec(refused.stderr.split('tandem: ').at(-1) ?? '')?.[1];
  if (refused.status !== IMPOSSIBLE || !enough)
    return judged(false, `memory=${TOO_SMALL} ended with ${failure(refused).message}`);
  const again = await runWith(enough);
  const named = `memory=${TOO_SMALL} is refused with exit status ${IMPOSSIBLE} and ${enough} is named`;
  if (again.status === 0) return judged(true, `${named}, which suffices`);
  return judged(false, `${named}, which does not suffice: ${failure(again).message}`);
}
