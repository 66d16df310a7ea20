/** The names of the columns that are written beside the results, as `--keep` gives them. */
import { TandemError } from '../errors.js';

/** As a name in `keep`: all columns. */
export const ALL_COLUMNS = '*';

/** The names in `a,b`. Throws TANDEM_USAGE for an empty one. */
export function parseKeep(text: string, where: string): readonly string[] {
  if (text.trim() === '') return [];
  const names = text.split(',').map((name) => name.trim());
  if (!names.includes('')) return names;
  throw new TandemError('TANDEM_USAGE', `${where} "${text}" has an empty name`, {
    remedy: 'give the names of columns, as in id,label; * for all, or an empty text for none',
  });
}
