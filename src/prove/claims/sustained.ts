/** Claim 10: the card keeps its pace: the last 30 seconds of two minutes against the first. */
import type { Summary } from '../../job/summary.js';
import type { RunRecord } from '../../report/record.js';
import { type Finding, judged, notTried } from '../claim.js';
import { MICRO_BATCH, type Setting, stageOn } from '../setting.js';
import { OUTPUTS } from '../subjects.js';
import { percent, rate } from '../words.js';

/** Of the first. */
const KEPT = 0.9;
const PART_SECONDS = 30;
/** A shorter run has no pace. */
const SHORTEST_SECONDS = 4;
/** Of the time that is left, since it may be slower than a short run was. */
const SURE = 0.7;
/** Starting and planning. */
const BESIDES_SECONDS = 6;
/** Bytes of the file of rows are bounded. */
const MOST_ROWS = 200_000;

export async function paceIsKept(setting: Setting): Promise<Finding> {
  const { command, subjects, measured, providers, sustainedSeconds } = setting;
  const seconds = Math.min(sustainedSeconds, SURE * command.left - BESIDES_SECONDS);
  if (seconds < SHORTEST_SECONDS) return notTried('the time was up');
  // Runs of seconds say less than long ones of what a card does in the end.
  const before = measured.rowsPerSecond.get(providers[0].name) ?? 8;
  const rows = Math.min(MOST_ROWS, 8 * Math.ceil((before * seconds) / 8));
  const args = [...subjects.rows('BERT', rows), '--keep', OUTPUTS.small, ...MICRO_BATCH, '-s', stageOn(setting)];
  const summary = await command.run(subjects.model('BERT'), [...args, '--record', 'sustained.json']);
  const record = JSON.parse(command.read('sustained.json').toString()) as RunRecord;
  const { rows: done, intervalSeconds } = record.run!.pace;
  const part = Math.max(1, Math.floor(Math.min(done.length / 4, PART_SECONDS / intervalSeconds)));
  const of = (some: readonly number[]) => some.reduce((sum, each) => sum + each, 0) / (some.length * intervalSeconds);
  // The last interval is not full.
  const [first, last] = [of(done.slice(0, part)), of(done.slice(-part - 1, -1))];
  measured.comparisons.push({
    title: 'Pace of a long run',
    unit: 'rows/s',
    cases: [
      { name: 'at the beginning', value: first },
      { name: 'at the end', value: last, emphasis: true },
    ],
  });
  return judged(last >= KEPT * first, said(summary, first, last, part * intervalSeconds));
}

function said({ seconds, cards }: Summary, first: number, last: number, part: number): string {
  const throttled = cards.flatMap((card) => [
    ...card.throttled.map(({ reason, share }) => `${reason} in ${percent(share)} of the time`),
    ...(card.atPowerLimit > 0 ? [`at its power limit in ${percent(card.atPowerLimit)} of the time`] : []),
  ]);
  const held =
    cards.length === 0
      ? 'the driver reports no reasons of throttling'
      : throttled.join('; ') || 'nothing held its clock down';
  return `${seconds.toFixed(0)} s: ${rate(first)} in the first ${part.toFixed(0)} s, ${rate(last)} in the last, ${percent(last / first)}; ${held}`;
}
