/** The best labels of rows by their names, with their scores: one for each row, or a list. */
import type { Finished } from '../../rows/source.js';
import type { Tensor } from '../../tensor.js';
import { LABEL, SCORE } from './score-finish.js';

/**
 * Of what `bestFinish` gives, (rows, count) each. A label without a name is `LABEL_3`, as in transformers. Where one label is asked for, a row has one text
 * and one number, not lists of one.
 */
export function namedLabels(
  best: ReadonlyMap<string, Tensor>,
  names: readonly string[] | null,
  isSingle: boolean,
): Finished {
  const [label, score] = [best.get(LABEL)!, best.get(SCORE)!];
  const [rows, count] = label.shape as [number, number];
  const texts = Array.from(label.data as Int32Array, (number) => names?.[number] ?? `LABEL_${number}`);
  const values = isSingle
    ? texts
    : Array.from({ length: rows }, (_, row) => texts.slice(row * count, (row + 1) * count));
  return {
    outputs: new Map([[SCORE, isSingle ? { ...score, shape: [rows] } : score]]),
    columns: new Map([[LABEL, { type: isSingle ? 'string' : 'list<string>', values }]]),
  };
}
