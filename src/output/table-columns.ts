/** The columns of an output that is a table: what is kept of the input (else the rows' ids, where they have any), then the results. */
import { TandemError } from '../errors.js';
import type { RowsDone } from './sink.js';

export const ID_COLUMN = 'id';

/** Throws TANDEM_OUTPUT_UNSUPPORTED if two columns have the same name. */
export function tableColumns({ kept, ids, outputs, ragged, columns }: RowsDone): readonly string[] {
  const before = kept?.columns?.map(({ name }) => name) ?? (ids ? [ID_COLUMN] : []);
  const results = [...outputs.keys(), ...(ragged?.keys() ?? []), ...(columns?.keys() ?? [])];
  const both = results.find((name) => before.includes(name));
  if (both === undefined) return [...before, ...results];
  throw new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `the input has a column "${both}", and so has the output of the model: a table cannot hold both`,
    { remedy: `keep other columns with --keep a,b (none: --keep ''), or write JSON lines: name the output .jsonl` },
  );
}

/** Throws TANDEM_OUTPUT_UNSUPPORTED. */
export function checkSameColumns(first: readonly string[], now: readonly string[]): void {
  if (first.length === now.length && first.every((name, n) => name === now[n])) return;
  throw new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `the columns are ${now.join(', ')} here and were ${first.join(', ')} in the first rows`,
    { remedy: 'write JSON lines, where rows may differ: name the output .jsonl' },
  );
}
