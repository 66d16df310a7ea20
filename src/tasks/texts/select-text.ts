/** Finds the text, or the pair of texts, of a record. */
import { TandemError } from '../../errors.js';
import { nearestName } from '../../nearest-name.js';
import type { Column, RowRecord, Value } from '../../rows/record-source.js';
import { memberPath, RowFault } from '../../rows/row-fault.js';
import type { SelectedText } from './text-preparer.js';

/** Columns that are taken for the text where none is named, the first that is there. */
const USUAL = ['text', 'sentence', 'content'];

export interface TextColumns {
  readonly column?: string | undefined;
  /** With them a row is a pair. */
  readonly pair?: { readonly query: string; readonly document: string } | undefined;
}

/**
 * How the text of a record is found. `columns` are those of a table; JSON lines have columns of their own in each row.
 * Throws TANDEM_USAGE for a column that the table does not have.
 */
export function selectText(
  { column, pair }: TextColumns,
  columns: readonly Column[] | null,
): (record: RowRecord) => SelectedText {
  if (pair) {
    const query = named(pair.query, '--query', columns);
    const document = named(pair.document, '--document', columns);
    return (record) => [textAt(record, query), textAt(record, document)];
  }
  if (column !== undefined) {
    const name = named(column, '--column', columns);
    return (record) => textAt(record, name);
  }
  if (columns) {
    const name = usual(columns.map((each) => each.name));
    if (name === null) throw whichColumn(columns);
    return (record) => textAt(record, name);
  }
  return (record) => {
    const name = usual(Object.keys(record).filter((key) => key !== 'id'));
    if (name !== null) return textAt(record, name);
    throw new RowFault('TANDEM_ROW_INVALID', `no column is named ${USUAL.join(', ')}: name it with --column`);
  };
}

/** The column of a usual name, or the only one. */
function usual(names: readonly string[]): string | null {
  return USUAL.find((name) => names.includes(name)) ?? (names.length === 1 ? names[0]! : null);
}

function named(name: string, flag: string, columns: readonly Column[] | null): string {
  const names = columns?.map((column) => column.name);
  if (!names || names.includes(name)) return name;
  const nearest = nearestName(name, names);
  throw new TandemError('TANDEM_USAGE', `${flag} ${name}: the rows have no such column`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}they have ${listed(names)}`,
  });
}

function textAt(record: RowRecord, name: string): string {
  if (!Object.hasOwn(record, name)) throw new RowFault('TANDEM_ROW_INVALID', `${memberPath('row', name)} is missing`);
  const value = record[name];
  if (typeof value === 'string') return value;
  throw new RowFault('TANDEM_ROW_TYPE', `${memberPath('row', name)} is ${kindOf(value)}; a text is a string`);
}

function kindOf(value: Value): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function whichColumn(columns: readonly Column[]): TandemError {
  return new TandemError('TANDEM_USAGE', 'which column has the texts? none is named text', {
    remedy: `name it: --column ${columns[0]?.name ?? 'NAME'}; the rows have ${listed(columns.map(({ name }) => name))}`,
  });
}

/** Columns that a message lists. */
const LISTED = 20;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return `${names.slice(0, LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
