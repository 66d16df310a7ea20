/** Warm-up for rows that differ in length: the live tensors at the extreme shapes of micro-batches, and the axes of outputs that follow the length. */
import type { ModelGraph } from '../model/graph.js';
import { extremeShapes, type MicroBatchShape, specsAt } from '../plan/length-plan.js';
import { byteCount, type TensorSpec } from '../tensor.js';
import { inferAll, type Live, type Stages } from './load.js';
import { otherRows, outputAxesOf } from './output-axes.js';
import { type AcrossCuts, type OutputLength, probe } from './warm-up.js';

export interface LengthsToCome {
  /** The longest row. */
  readonly longestSpecs: readonly TensorSpec[];
  /** The shape of one row for each input; `null` dimensions are ragged. */
  readonly openSpecs: readonly TensorSpec[];
  /** Whether workers must compute, since their memory is to be checked. */
  readonly mustCompute: boolean;
}

type Found = ReadonlyMap<string, Live>;

/** Workers compute both extremes, unless engines can infer shapes and need not. */
export async function warmUpLengths(
  stages: Stages,
  { longestSpecs, openSpecs, mustCompute }: LengthsToCome,
): Promise<AcrossCuts> {
  const { graph, plan } = stages;
  const [longest, most] = extremeShapes(plan, longestSpecs, openSpecs);
  const look = async ({ rows, rowSpecs }: Pick<MicroBatchShape, 'rows' | 'rowSpecs'>): Promise<Found> =>
    (await inferAll(stages, rowSpecs, rows)) ?? probe(stages, rowSpecs, rows);
  const tryToLook = (shape: Pick<MicroBatchShape, 'rows' | 'rowSpecs'>) => look(shape).catch(() => null);
  // What is only looked at comes first: replacements of lost workers are warmed up with the last probe.
  const other = isOpen(graph) ? await tryToLook({ ...most, rows: otherRows(most.rows) }) : null;
  const shorter = longest.length === most.length ? await shorterThan(most, openSpecs, tryToLook) : null;
  const compute = ({ rows, rowSpecs }: MicroBatchShape): Promise<Found> =>
    mustCompute ? probe(stages, rowSpecs, rows) : look({ rows, rowSpecs });
  const atLongest = await compute(longest);
  const atMost = await compute(most);
  const axes = outputAxesOf(graph, most.rows, atMost, other);
  const compared = longest.length === most.length ? shorter : { length: most.length, found: atMost };
  const outputLengths = new Map(
    graph.outputs.map((name) => {
      const inOne = { length: longest.length, shape: rowOf(atLongest, name, axes) };
      const inOther = compared && { length: compared.length, shape: rowOf(compared.found, name, axes) };
      return [name, lengthAxesOf(inOne, inOther)];
    }),
  );
  return { found: merged([atLongest, longest], [atMost, most]), axes, outputLengths };
}

function isOpen({ fixedBatch, format }: ModelGraph): boolean {
  return fixedBatch === null && format !== 'layers-model';
}

/** Where all rows have one padded length, it is compared with another one. */
async function shorterThan(
  shape: MicroBatchShape,
  openSpecs: readonly TensorSpec[],
  look: (shape: MicroBatchShape) => Promise<Found | null>,
): Promise<{ length: number; found: Found } | null> {
  if (shape.length < 2) return null;
  const length = shape.length - 1;
  const rowSpecs = specsAt(shape.rowSpecs, openSpecs, length);
  const found = await look({ ...shape, rowSpecs });
  return found && { length, found };
}

function rowOf(found: Found, name: string, axes: ReadonlyMap<string, number>): readonly number[] {
  return found.get(name)!.shape.toSpliced(axes.get(name) ?? 0, 1);
}

interface AtLength {
  readonly length: number;
  readonly shape: readonly number[];
}

function lengthAxesOf(one: AtLength, other: AtLength | null): OutputLength {
  if (!other || one.shape.length !== other.shape.length) return { follows: [], varies: true };
  const changed = one.shape.flatMap((dim, axis) => (dim === other.shape[axis] ? [] : [axis]));
  const follows = changed.filter((axis) => one.shape[axis] === one.length && other.shape[axis] === other.length);
  return { follows, varies: follows.length < changed.length };
}

/** The shape in the second, and room for whichever needs more. */
function merged([atLongest, longest]: [Found, MicroBatchShape], [atMost, most]: [Found, MicroBatchShape]): Found {
  const bytesOf = ({ dtype, shape }: Live, { headroom }: MicroBatchShape) =>
    Math.ceil(byteCount(dtype, shape) * headroom);
  return new Map(
    [...atMost].map(([name, live]) => {
      const bytes = Math.max(bytesOf(live, most), bytesOf(atLongest.get(name)!, longest));
      return [name, { dtype: live.dtype, shape: live.shape, bytes }];
    }),
  );
}
