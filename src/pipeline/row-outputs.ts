/** What a loaded pipeline gives for one row: type and shape of each output, known before a row is run. */
import type { RowOutput } from '../rows/source.js';
import type { Pipeline } from './pipeline.js';

/** Of a warm pipeline, by public name, without the rows' axis. Where rows differ in length, those of one of the lengths. */
export function rowOutputsOf({
  graph: { outputs, outputNames },
  across,
}: Pick<Pipeline, 'graph' | 'across'>): Map<string, RowOutput> {
  const { found, axes } = across!;
  return new Map(
    outputs.map((name) => {
      const { dtype, shape } = found.get(name)!;
      return [outputNames?.get(name) ?? name, { dtype, shape: shape.toSpliced(axes.get(name) ?? 0, 1) }];
    }),
  );
}
