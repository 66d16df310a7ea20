/** Opens rows that are values of the caller's own program. */
import type { TensorSpec } from '../../tensor.js';
import type { Source } from '../source.js';
import { readRow } from './object-row.js';
import { ObjectSource } from './object-source.js';

/** Throws TANDEM_INPUT_EMPTY, and TANDEM_INPUT_INVALID where no row tells the dims that the model leaves open. */
export function openObjects(
  rows: Iterable<unknown> | AsyncIterable<unknown>,
  specs: readonly TensorSpec[],
): Promise<Source> {
  return ObjectSource.open({
    items: inTurn(rows),
    parse: (row, index) => readRow(() => row, index, specs),
    mayBeBatchLine: () => true,
    specs,
    where: 'the input',
    firstRow: 0,
    release: async () => {},
  });
}

/** Both kinds of iterable as one; ending it early ends theirs. */
async function* inTurn(rows: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<unknown> {
  yield* rows;
}
