/** Which names of `--keep` are outputs of the model, and which are columns of the input. */
import { TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { holdsRecords, isTable, STANDARD_STREAM } from '../rows/format.js';
import { formatOf } from '../rows/format-of-path.js';
import { filesOf } from '../rows/input-files.js';
import { ALL_COLUMNS } from '../rows/kept-columns.js';
import type { SourceInput } from '../rows/open-source.js';
import { openRecords } from '../rows/record-source.js';
import type { RunRequest } from './run-request.js';

export interface SplitKeep {
  /** Columns of the input, as `keep` of a request without outputs. */
  readonly columns: readonly string[] | undefined;
  /** Outputs that are written, in the model's order; `null`: all. */
  readonly outputs: readonly string[] | null;
}

/**
 * `outputs` are the public names of what a run would write. A name that is an output selects it, and outputs that are not named are left out
 * then. Throws TANDEM_USAGE for a name that is neither an output nor can be a column, and for one that is both.
 */
export async function splitKeep(
  { keep, inputFormat }: Pick<RunRequest, 'keep' | 'inputFormat'>,
  outputs: readonly string[],
  input: SourceInput,
): Promise<SplitKeep> {
  if (keep === undefined) return { columns: undefined, outputs: null };
  const files = filesOf(input);
  const format = formatOf(files[0]!, inputFormat);
  const selected = outputs.filter((name) => keep.includes(name));
  const columns = keep.filter((name) => !outputs.includes(name));
  const [first] = columns;
  if (first !== undefined && first !== ALL_COLUMNS && (input instanceof Map || !holdsRecords(format))) {
    throw noOutput(first, outputs, format);
  }
  if (selected.length > 0 && isTable(format) && files[0] !== STANDARD_STREAM)
    await refuseBoth(selected, files, inputFormat);
  return { columns, outputs: selected.length > 0 ? selected : null };
}

async function refuseBoth(selected: readonly string[], files: readonly string[], format?: string): Promise<void> {
  const records = await openRecords(files, { format });
  await records.close();
  const names = records.columns?.map(({ name }) => name) ?? [];
  const both = selected.find((name) => names.includes(name));
  if (both === undefined) return;
  throw new TandemError(
    'TANDEM_USAGE',
    `--keep ${both}: the model has an output "${both}", and the input a column of that name`,
    {
      remedy: 'leave it out of --keep and write all outputs, or give the column another name',
    },
  );
}

function noOutput(name: string, outputs: readonly string[], format: string): TandemError {
  const nearest = nearestName(name, outputs);
  return new TandemError(
    'TANDEM_USAGE',
    `--keep ${name}: the model has no output "${name}", and the input is ${format.toUpperCase()}, which has no columns`,
    {
      remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}the outputs are ${outputs.join(', ')}`,
    },
  );
}
