/** The id of a row of a table: its column `id`, where that holds a text or a whole number; else its position. */
import type { RowRecord } from './record.js';
import type { RowId } from './source.js';

export function tableRowId(record: RowRecord, index: number): RowId {
  const { id } = record;
  if (typeof id === 'string' && id !== '') return id;
  if (typeof id === 'bigint') return String(id);
  return typeof id === 'number' && Number.isSafeInteger(id) ? id : index;
}
