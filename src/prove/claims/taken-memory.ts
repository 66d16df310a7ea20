/** Claim 8: another program takes the card's memory in mid-run: the run goes on, with smaller micro-batches if it must, and blames no row. */
import type { Summary } from '../../job/summary.js';
import { type Finding, judged, notTried } from '../claim.js';
import { failure } from '../command.js';
import { floatsOf, largestDifference } from '../npy.js';
import type { Setting } from '../setting.js';
import { takeMemory } from '../take-memory.js';
import { gibibytes } from '../words.js';
import { runWith } from './mid-run.js';

/** Smaller sub-batches may be added in another order. */
const TOLERANCE = 1e-3;

/** What is taken of a software adapter, whose memory is that of the machine. */
const FROM_SOFTWARE = 256 * 2 ** 20;

export async function takenMemoryBlamesNoRow(setting: Setting): Promise<Finding> {
  const { command, card } = setting;
  const undisturbed = await runWith(setting, 'undisturbed.npy');
  if (undisturbed.status !== 0) throw failure(undisturbed);
  let taker: Awaited<ReturnType<typeof takeMemory>> = 'not asked';
  const before = async () => {
    taker = await takeMemory(card, card === null ? FROM_SOFTWARE : Number.POSITIVE_INFINITY);
  };
  try {
    const ended = await runWith(setting, 'taken.npy', { before });
    // It is set in a function that is called later.
    const taken = taker as Awaited<ReturnType<typeof takeMemory>>;
    if (typeof taken === 'string') return notTried(taken);
    if (ended.status !== 0) return judged(false, `${gibibytes(taken.bytes)} were taken: ${failure(ended).message}`);
    const { failedRows, stages, cards } = JSON.parse(ended.stdout) as Summary;
    const difference = largestDifference(
      floatsOf(command.read('undisturbed.npy')),
      floatsOf(command.read('taken.npy')),
    );
    const atOnce = stages[0]?.rowsAtOnce;
    const how = atOnce ? `went on with ${atOnce} rows at once` : 'needed no smaller micro-batches';
    return judged(
      failedRows === 0 && difference <= TOLERANCE,
      [
        `another process took ${gibibytes(taken.bytes)}`,
        `the run ${how}`,
        `${failedRows} failed rows`,
        `largest difference ${difference.toExponential(1)}`,
        ...cards.flatMap(({ notes }) => notes),
      ].join('; '),
    );
  } finally {
    const left = taker as Awaited<ReturnType<typeof takeMemory>>;
    if (typeof left !== 'string') left.giveBack();
  }
}
