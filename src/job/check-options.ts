/** The numbers that a program hands to `openPipeline`, held to what the command line allows before anything is started. */
import { TandemError } from '../errors.js';
import { checkCount, MOST_THREADS, MOST_TURNS } from '../plan/count.js';
import type { PipelineOptions } from './open-pipeline.js';

/** Throws TANDEM_USAGE. */
export function checkOptions({ stages = [], microBatch, depth, deadline }: PipelineOptions): void {
  for (const [j, { threads, workers, turns }] of stages.entries()) {
    check(threads, `stages[${j}].threads`, MOST_THREADS);
    check(workers, `stages[${j}].workers`, MOST_THREADS);
    check(turns, `stages[${j}].turns`, MOST_TURNS);
  }
  check(microBatch, 'microBatch');
  check(depth, 'depth');
  if (deadline === undefined || (typeof deadline === 'number' && deadline > 0)) return;
  throw new TandemError('TANDEM_USAGE', `deadline is ${deadline}, not a number of seconds`, {
    remedy: 'give seconds, for example 600',
  });
}

function check(value: unknown, what: string, most?: number): void {
  if (value === undefined) return;
  checkCount(value, `${what} is ${String(value)},`, { most, remedy: 'leave it out to have it chosen' });
}
