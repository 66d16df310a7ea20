/** The columns of a table that are read. */
import { TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';

/** Names that a message lists at most. */
const SHOWN = 20;

/** `wanted`, or all. Throws TANDEM_INPUT_INVALID for a column that the table does not have. */
export function chosenColumns(
  names: readonly string[],
  wanted: readonly string[] | undefined,
  where: string,
): readonly string[] {
  if (!wanted) return names;
  const missing = wanted.find((name) => !names.includes(name));
  if (missing === undefined) return [...new Set(wanted)];
  const nearest = nearestName(missing, names);
  const more = names.length > SHOWN ? `, and ${names.length - SHOWN} more` : '';
  throw new TandemError('TANDEM_INPUT_INVALID', `${where} has no column ${JSON.stringify(missing)}`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}it has ${names.slice(0, SHOWN).join(', ')}${more}`,
  });
}
