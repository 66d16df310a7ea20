/** Opens values of the caller's program as a source. */
import type { TensorSpec } from '../../tensor.js';
import type { Source } from '../source.js';
import { readRow } from './object-row.js';
import { ObjectSource } from './object-source.js';
import { RaggedObjects } from './ragged-objects.js';

/** Throws TANDEM_INPUT_EMPTY, and TANDEM_INPUT_INVALID if no row determines the open dims of the model. */
export function openObjects(
  rows: Iterable<unknown> | AsyncIterable<unknown>,
  specs: readonly TensorSpec[],
  { allowNonFinite = false }: { readonly allowNonFinite?: boolean | undefined } = {},
): Promise<Source> {
  return ObjectSource.open({
    items: oneByOne(rows),
    parse: (row, index) => readRow(() => row, index, specs),
    mayBeBatchLine: () => true,
    specs,
    where: 'the input',
    firstRow: 0,
    allowNonFinite,
    release: async () => {},
  });
}

/** Values that may differ in length from row to row, for a sample; `specs` have the rows' axis first. */
export function openRaggedObjects(
  rows: Iterable<unknown> | AsyncIterable<unknown>,
  specs: readonly TensorSpec[],
  {
    allowNonFinite = false,
    ...options
  }: { readonly allowNonFinite?: boolean | undefined } & Pick<RaggedOptions, 'padding' | 'made'>,
): RaggedObjects<unknown> {
  const optional = new Set(options.made.keys());
  return new RaggedObjects<unknown>({
    ...{ ...options, allowNonFinite, firstRow: 0 },
    specs: specs.map((spec) => ({ ...spec, shape: spec.shape.slice(1) })),
    open: async () => ({ items: oneByOne(rows), release: async () => {} }),
    parse: (row, index) => readRow(() => row, index, specs, { optional }),
    mayBeBatchLine: () => true,
  });
}

type RaggedOptions = ConstructorParameters<typeof RaggedObjects<unknown>>[0];

/** The rest of sampled values whose first rows have one shape, which all must have then. Errors as of `openObjects`. */
export function sameLengthObjects(
  ragged: RaggedObjects<unknown>,
  specs: readonly TensorSpec[],
  rules: Parameters<typeof openObjects>[2],
): Promise<Source> {
  const { items } = ragged.takeOver();
  return openObjects({ [Symbol.asyncIterator]: () => items } as AsyncIterable<unknown>, specs, rules);
}

/** Makes one iterator of either kind of iterable. Ending it early ends the original. */
async function* oneByOne(rows: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<unknown> {
  yield* rows;
}
