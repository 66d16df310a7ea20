/** The rows' axis of each output: from the names of its dimensions, or from a comparison with the shapes for another number of rows. */
import { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { countingOpOf } from '../model/keep-outputs.js';
import type { Live } from './load.js';

type Shapes = ReadonlyMap<string, Pick<Live, 'shape'>>;

/** A number of rows other than `rows`, to compare shapes with: one if possible, since it is the cheapest. */
export function otherRows(rows: number): number {
  return rows === 1 ? 2 : 1;
}

/** Whether the shapes for one number of rows do not determine all axes. */
export function needsOtherRows(graph: ModelGraph): boolean {
  if (graph.fixedBatch !== null || graph.format === 'layers-model') return false;
  return graph.outputs.some((name) => graph.outputRows?.get(name) === undefined);
}

/** Whether `found`, the shapes for `rows` rows, contradict the names of dimensions or fit several axes. Exporters write wrong names. */
export function isDoubtful(graph: ModelGraph, rows: number, found: Shapes): boolean {
  if (graph.fixedBatch !== null || graph.format === 'layers-model') return false;
  return graph.outputs.some((name) => {
    const { shape } = found.get(name)!;
    if (graph.outputRows?.get(name)?.how === '--rows-axis') return false;
    return shape.filter((dim) => dim === rows).length !== 1 || shape[graph.outputRows?.get(name)?.axis ?? 0] !== rows;
  });
}

/**
 * `found` are the shapes for `rows` rows, `other` those for `otherRows(rows)`; `null` if they are not known. Throws
 * TANDEM_MODEL_UNSUPPORTED for an output that does not follow the rows.
 */
export function outputAxesOf(
  graph: ModelGraph,
  rows: number,
  found: Shapes,
  other: Shapes | null,
): Map<string, number> {
  const axes = new Map<string, number>();
  for (const name of graph.outputs) {
    const axis = axisOf(graph, name, rows, found.get(name)!.shape, other?.get(name)?.shape);
    if (axis !== null) axes.set(name, axis);
  }
  const lost = graph.outputs.find((name) => !axes.has(name));
  if (lost !== undefined) throw unfit(graph, lost, found.get(lost)!.shape, { rows, fit: [...axes.keys()] });
  return axes;
}

function axisOf(
  graph: ModelGraph,
  name: string,
  rows: number,
  shape: readonly number[],
  other: readonly number[] | undefined,
): number | null {
  const named = graph.outputRows?.get(name) ?? (graph.format === 'layers-model' ? { axis: 0, how: '' } : undefined);
  // The user's flag has precedence over the comparison, and the comparison over a name.
  if (named && (!other || named.how === '--rows-axis')) return shape[named.axis] === rows ? named.axis : null;
  if (!other) return onlyAxisOf(shape, rows);
  if (other.length !== shape.length) return null;
  const changed = shape.flatMap((dim, axis) => (dim === other[axis] ? [] : [axis]));
  const [axis] = changed;
  return changed.length === 1 && shape[axis!] === rows && other[axis!] === otherRows(rows) ? axis! : null;
}

/** Without a comparison: axis 0 if its size is `rows`, else the only axis of that size. */
function onlyAxisOf(shape: readonly number[], rows: number): number | null {
  if (shape[0] === rows) return 0;
  const axes = shape.flatMap((dim, axis) => (dim === rows ? [axis] : []));
  return axes.length === 1 ? axes[0]! : null;
}

/** `fit`: the outputs that follow the rows. */
function unfit(
  graph: ModelGraph,
  name: string,
  shape: readonly number[],
  { rows, fit }: { readonly rows: number; readonly fit: readonly string[] },
): TandemError {
  const publicName = (output: string) => graph.outputNames?.get(output) ?? output;
  const shown = publicName(name);
  const others = fit.length > 0 ? `, or write only the others: --keep ${fit.map(publicName).join(',')}` : '';
  const counting = countingOpOf(graph, name);
  const what = `output ${shown} is [${shape.join(', ')}] for ${rows} ${rows === 1 ? 'row' : 'rows'}: no axis of it follows the rows`;
  if (counting) {
    const why = `${counting.type} "${counting.name}" before it lets through as many entries as it finds, for all rows together`;
    return new TandemError('TANDEM_MODEL_UNSUPPORTED', `${what}; ${why}`, {
      remedy: `export the model without ${counting.type} (for YOLO nms=False), and choose the best boxes from its raw outputs afterwards${others}`,
    });
  }
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', what, {
    remedy: `a batch job needs one result per row; give the model an output with an axis for the batch${others}. If it has one, name it: --rows-axis ${shown}=1`,
  });
}
