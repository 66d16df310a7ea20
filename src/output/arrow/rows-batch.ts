/** Finished rows as one batch of an Arrow IPC stream. */
import type { Data, DataType } from 'apache-arrow';
import type { Arrow } from '../../rows/arrow/arrow-library.js';
import { goodRows } from '../../rows/source.js';
import { checkRowsAxis, rowRangesOf } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';
import { ID_COLUMN } from '../table-columns.js';
import { columnData } from './column-data.js';
import { raggedData, tensorData } from './tensor-data.js';

/** The columns as `tableColumns` names them. */
export function batchBytes(arrow: Arrow, batch: RowsDone): Uint8Array {
  const places = rowRangesOf(batch).flatMap(({ from, to, outputRow }) =>
    Array.from({ length: to - from }, (_, n) => (outputRow === null ? null : outputRow + n)),
  );
  const columns = new Map<string, Data<DataType>>();
  for (const { name, type } of batch.kept?.columns ?? []) {
    const values = batch.kept!.records.map((record) => record?.[name] ?? null);
    columns.set(name, columnData(arrow, type, values));
  }
  if (!batch.kept?.columns && batch.ids) columns.set(ID_COLUMN, columnData(arrow, 'string', batch.ids.map(String)));
  for (const [name, tensor] of batch.outputs) {
    checkRowsAxis(name, tensor, goodRows(batch));
    columns.set(name, tensorData(arrow, name, tensor, places));
  }
  for (const [name, tensors] of batch.ragged ?? []) columns.set(name, raggedData(arrow, name, tensors, places));
  for (const [name, { type, values }] of batch.columns ?? []) {
    const all = places.map((place) => (place === null ? null : values[place]!));
    columns.set(name, columnData(arrow, type, all));
  }
  const fields = [...columns].map(([name, { type }]) => new arrow.Field(name, type, true));
  const data = arrow.makeData({ type: new arrow.Struct(fields), length: batch.rows, children: [...columns.values()] });
  return arrow.tableToIPC(new arrow.Table(new arrow.RecordBatch(new arrow.Schema(fields), data)), 'stream');
}
