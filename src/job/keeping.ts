/** Which columns of the input a run keeps for its output: those that are named, or all where a table is made of a table. */
import { TandemError } from '../errors.js';
import { holdsRecords, isTable } from '../rows/format.js';
import { formatOf, outputFormatOf } from '../rows/format-of-path.js';
import { filesOf } from '../rows/input-files.js';
import { ALL_COLUMNS } from '../rows/kept-columns.js';
import type { Keeping } from '../rows/kept-rows.js';
import type { SourceInput } from '../rows/open-source.js';
import type { RunRequest } from './run-request.js';

/** Throws TANDEM_USAGE where the input has no columns, or the output cannot hold them. */
export function keepingOf(
  { keep, inputFormat, output, outputFormat }: Pick<RunRequest, 'keep' | 'inputFormat' | 'output' | 'outputFormat'>,
  input: SourceInput,
): Keeping {
  const [from, to] = [formatOf(filesOf(input)[0]!, inputFormat), outputFormatOf(output, outputFormat)];
  const typed = isTable(to);
  if (keep === undefined) return { names: typed && isTable(from) ? [ALL_COLUMNS] : [], typed };
  if (keep.length === 0) return { names: [], typed };
  const lacks = !holdsRecords(from) || input instanceof Map ? `the input is ${from.toUpperCase()}` : null;
  const problem = lacks ?? (holdsRecords(to) ? null : `the output is ${to.toUpperCase()}`);
  if (problem === null) return { names: keep, typed };
  throw new TandemError('TANDEM_USAGE', `--keep ${keep.join(',')}: ${problem}, which holds arrays and no columns`, {
    remedy: lacks ? 'leave --keep out' : 'name the output .jsonl, .csv or .parquet, or leave --keep out',
  });
}
