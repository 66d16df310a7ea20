/** Joins what the model gave for the parts of each input row: failures, outputs, and values that are no tensors. */
import type { RowsDone } from '../output/sink.js';
import type { WindowParts } from '../rows/ragged-source.js';
import type { RowFailure } from '../rows/source.js';
import type { RecordRows, TaskRead } from './task.js';

/** What is written for the records of a window; each output has a row for every record. */
export type Written = Pick<RowsDone, 'outputs' | 'ragged' | 'columns' | 'answers' | 'nonFiniteRows'>;

/** A record of which a row could not be computed has failed; what `write` makes of it is not written. */
export function settle(parts: WindowParts, write: (records: readonly RecordRows[]) => Written): RowsDone {
  const { firstRow, failed } = parts;
  const { rows, failures, ids, batchLines, recordRows } = parts.read as TaskRead;
  const broken = recordRows.flatMap(({ index, id, batchLine, texts }): RowFailure[] => {
    const place = texts.flat().find((each) => failed.has(each));
    if (place === undefined) return [];
    const { code, message } = failed.get(place)!;
    return [
      { index, id, code, message: `by itself it makes a stage fail: ${message}`, ...(batchLine && { batchLine }) },
    ];
  });
  return { rows, failures, ids, batchLines, firstRow, failed: broken, ...write(recordRows) };
}
