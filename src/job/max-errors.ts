/** How many rows may fail before a job stops: a number, or a share of the rows so far. */
import { TandemError } from '../errors.js';

export type MaxErrors = { readonly rows: number } | { readonly percent: number };

/** A share of a few rows means little: it is checked from this number of rows on, and at the end. */
const ENOUGH_ROWS = 1000;

/** `10` or `0.5%`. Throws TANDEM_USAGE; `where` names the flag in messages. */
export function parseMaxErrors(text: string, where: string): MaxErrors {
  const [, number, percent] = /^(\d{1,15}(?:\.\d{1,6})?)(%?)$/.exec(text.trim()) ?? [];
  const value = Number(number);
  if (percent === '%' && value <= 100) return { percent: value };
  if (percent === '' && Number.isSafeInteger(value)) return { rows: value };
  throw new TandemError('TANDEM_USAGE', `${where} "${text}" is not a number of rows`, {
    remedy: 'give a whole number, or a share of the rows: 100, 0.5%',
  });
}

/** Throws TANDEM_TOO_MANY_ERRORS if more rows have failed than allowed. */
export function checkErrors(
  limit: MaxErrors | undefined,
  { rows, failedRows }: { readonly rows: number; readonly failedRows: number },
  ended: boolean,
): void {
  if (limit === undefined || !isPassed(limit, rows, failedRows, ended)) return;
  const allowed = 'rows' in limit ? String(limit.rows) : `${limit.percent} %`;
  throw new TandemError('TANDEM_TOO_MANY_ERRORS', `${failedRows} of ${rows} rows have failed; ${allowed} may`, {
    remedy: 'look at the failed rows; to resume in spite of them, run it again with a larger --max-errors',
  });
}

function isPassed(limit: MaxErrors, rows: number, failedRows: number, ended: boolean): boolean {
  if ('rows' in limit) return failedRows > limit.rows;
  return (ended || rows >= ENOUGH_ROWS) && failedRows * 100 > limit.percent * rows;
}
