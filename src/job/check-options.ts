/** The numbers that a program hands to `openPipeline`, held to what the command line allows before anything is started. */
import { TandemError } from '../errors.js';
import type { PipelineOptions } from './open-pipeline.js';

/** More threads or workers than any machine has: a typing error, or somebody else's number. */
const MOST_THREADS = 1024;
const MOST = 1_000_000;

/** Throws TANDEM_USAGE. */
export function checkOptions({ stages = [], microBatch, depth, deadline }: PipelineOptions): void {
  for (const [j, { threads, workers }] of stages.entries()) {
    checkCount(threads, `stages[${j}].threads`, MOST_THREADS);
    checkCount(workers, `stages[${j}].workers`, MOST_THREADS);
  }
  checkCount(microBatch, 'microBatch', MOST);
  checkCount(depth, 'depth', MOST);
  if (deadline === undefined || (typeof deadline === 'number' && deadline > 0)) return;
  throw new TandemError('TANDEM_USAGE', `deadline is ${deadline}, not a number of seconds`, {
    remedy: 'give seconds, for example 600',
  });
}

function checkCount(value: unknown, what: string, most: number): void {
  if (value === undefined || (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most)) return;
  throw new TandemError(
    'TANDEM_USAGE',
    `${what} is ${String(value)}, not a whole number from 1 to ${most.toLocaleString('en')}`,
    { remedy: 'leave it out to have it chosen' },
  );
}
