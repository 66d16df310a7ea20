/** Decides which axis of each input is the rows', or that it is given once for all rows; an undecided input is a problem with the flag that decides it. */
import { TandemError } from '../errors.js';
import { formatSpec, type Tensor, type TensorSpec } from '../tensor.js';
import type { InputRows, ModelGraph, OutputRows } from './graph.js';

/** A dimension as the model declares it: a number, a name, or neither. */
export type Dimension = number | string | null;

/** The user's decisions. */
export interface RowsSettings {
  /** By input: its value for all rows. */
  readonly given?: ReadonlyMap<string, Tensor>;
  /** By input or output: the rows' axis. */
  readonly axes?: ReadonlyMap<string, number>;
}

export interface RowsDecision {
  readonly inputRows: ReadonlyMap<string, InputRows>;
  readonly outputRows: ReadonlyMap<string, OutputRows>;
  readonly fixedBatch: number | null;
  /** By input, why it is not known. */
  readonly problems: ReadonlyMap<string, TandemError>;
}

/** Names that always mean rows. */
const BATCH = /batch|^bsz?$/i;
/** Names that often mean rows. */
const LETTER = /^[nb]$/i;
/** Names that mean steps: rows are then on another axis, if there is one. */
const STEPS = /^[tls]$|seq|len|time|step|frame|token/i;
/** Exporters' names of dimensions without a name. */
const MADE_UP = /^(unk_*\d+|s\d+|d\d+|dim_*\d+|\?|.*dynamic_axes.*)$/i;

/** The graph with its rows' axes. Throws TANDEM_ROWS_AXIS for an undecided input, TANDEM_USAGE for an axis that does not exist. */
export function withRows<G extends ModelGraph>(graph: G, settings: RowsSettings = {}): G {
  const { problems, ...decided } = decideRows(graph, settings);
  for (const problem of problems.values()) throw problem;
  return { ...graph, ...decided };
}

export function decideRows(graph: ModelGraph, settings: RowsSettings = {}): RowsDecision {
  const { given = new Map<string, Tensor>(), axes = new Map<string, number>() } = settings;
  checkAxes(graph, axes);
  const inputRows = new Map<string, InputRows>();
  const problems = new Map<string, TandemError>();
  for (const { name } of graph.inputs) {
    const value = given.get(name);
    const axis = axes.get(name);
    if (value) inputRows.set(name, { axis: null, value, how: '--set' });
    else if (axis !== undefined) inputRows.set(name, { axis, how: '--rows-axis' });
  }
  const open = graph.inputs.filter(({ name }) => !inputRows.has(name));
  const names = rowsNames(graph, open, axes);
  for (const spec of open) {
    const found = axisOf(graph, spec, names);
    if (found instanceof TandemError) problems.set(spec.name, found);
    else inputRows.set(spec.name, found);
  }
  const fixed = fixedRows(graph, inputRows, problems);
  return { inputRows, outputRows: outputsOf(graph, names, axes), fixedBatch: fixed, problems };
}

/** The declared dimensions; `null` if not even their number is declared. */
function dimensionsOf({ dimensions }: ModelGraph, { name, shape }: TensorSpec): readonly Dimension[] | null {
  const declared = dimensions?.get(name);
  return declared === undefined ? shape : declared;
}

/** The names of the rows' dimensions. */
function rowsNames(graph: ModelGraph, open: readonly TensorSpec[], axes: ReadonlyMap<string, number>): Set<string> {
  const dims = graph.inputs.map((spec) => dimensionsOf(graph, spec)?.[axes.get(spec.name) ?? Number.NaN]);
  const settled = dims.filter((dim) => typeof dim === 'string');
  if (settled.length > 0) return new Set(settled);
  const declared = open.map((spec) => dimensionsOf(graph, spec) ?? []);
  const strong = declared.flat().filter((dim) => isNamed(dim, BATCH));
  const front = declared.map(([first]) => first).filter((dim) => isNamed(dim, LETTER));
  if (strong.length + front.length > 0) return new Set([...strong, ...front] as string[]);
  const behind = declared.flatMap(([first, ...rest]) =>
    (typeof first === 'number' && first !== 1) || isNamed(first, STEPS)
      ? rest.filter((dim) => isNamed(dim, LETTER))
      : [],
  );
  if (behind.length > 0) return new Set(behind as string[]);
  const first = new Set(declared.flatMap(([dim]) => (typeof dim === 'string' ? [dim] : [])));
  return first.size === 1 ? first : new Set();
}

function isNamed(dim: Dimension | undefined, pattern: RegExp): boolean {
  return typeof dim === 'string' && pattern.test(dim);
}

function axisOf(graph: ModelGraph, spec: TensorSpec, names: ReadonlySet<string>): InputRows | TandemError {
  const dims = dimensionsOf(graph, spec);
  if (dims === null) return { axis: 0, how: 'it declares no shape: rows are on its first axis' };
  if (dims.length === 0) return undecided(spec, 'is a single number, which cannot hold rows', onceForAll(spec));
  if (graph.format === 'layers-model') return { axis: 0, how: 'the batch axis of a Keras model' };
  const named = dims.flatMap((dim, axis) => (typeof dim === 'string' && names.has(dim) ? [axis] : []));
  const [axis, another] = named;
  if (another !== undefined) {
    return undecided(spec, `has the rows' dimension "${dims[axis!]}" on several axes`, orAxis(spec, axis!));
  }
  if (axis !== undefined) return { axis, how: `its dimension "${dims[axis]}"` };
  return unnamed(graph, spec, dims, names);
}

/** For an input without a dimension with the rows' name. */
function unnamed(
  graph: ModelGraph,
  spec: TensorSpec,
  [first, ...rest]: readonly Dimension[],
  names: ReadonlySet<string>,
): InputRows | TandemError {
  if (typeof first === 'number') {
    const letter = rest.findIndex((dim) => isNamed(dim, LETTER));
    if (letter >= 0) return undecided(spec, `may have its rows on axis 0 or ${letter + 1}`, orAxis(spec, letter + 1));
    const nameless = rest.findIndex((dim) => dim === null || isNamed(dim, MADE_UP));
    if (first !== 1 && nameless >= 0) {
      return undecided(spec, `may have its rows on axis 0 or ${nameless + 1}`, orAxis(spec, nameless + 1));
    }
    return { axis: 0, how: `its first axis, ${first} ${first === 1 ? 'row' : 'rows'} at a time` };
  }
  const isElsewhere = graph.inputs.some((other) =>
    dimensionsOf(graph, other)
      ?.slice(1)
      .includes(first ?? ''),
  );
  if (names.size > 0 && typeof first === 'string' && isElsewhere) {
    const rows = [...names].map((name) => `"${name}"`).join(', ');
    return undecided(
      spec,
      `has "${first}" on its first axis and nothing named as the rows are (${rows})`,
      onceForAll(spec),
    );
  }
  return { axis: 0, how: 'its first axis is open' };
}

/** The fixed number of rows of the inputs. Inputs that cannot all hold the same rows become problems. */
function fixedRows(
  graph: ModelGraph,
  inputRows: Map<string, InputRows>,
  problems: Map<string, TandemError>,
): number | null {
  const dims = graph.inputs.flatMap((spec) => {
    const rows = inputRows.get(spec.name);
    if (!rows || rows.axis === null) return [];
    const dim = dimensionsOf(graph, spec)?.[rows.axis] ?? null;
    return [{ spec, dim, isSettled: rows.how === '--rows-axis' }];
  });
  const fixed = dims.filter(({ dim }) => typeof dim === 'number');
  const open = dims.find(({ dim }) => typeof dim !== 'number');
  if (open) {
    for (const { spec, isSettled } of fixed) {
      if (isSettled) continue;
      const what = `has no axis that follows the rows, as "${open.spec.name}" (${formatSpec(open.spec)}) has`;
      inputRows.delete(spec.name);
      problems.set(spec.name, undecided(spec, what, onceForAll(spec)));
    }
  }
  const left = fixed.filter(({ spec }) => !problems.has(spec.name));
  const sizes = new Set(left.map(({ dim }) => dim as number));
  if (sizes.size <= 1) return [...sizes][0] ?? null;
  const [a, b] = [left[0]!, left.find(({ dim }) => dim !== left[0]!.dim)!];
  problems.set(
    b.spec.name,
    undecided(b.spec, `does not hold the same rows as "${a.spec.name}" (${formatSpec(a.spec)})`, onceForAll(b.spec)),
  );
  return null;
}

/** Outputs whose axis is known before anything runs. */
function outputsOf(
  graph: ModelGraph,
  names: ReadonlySet<string>,
  axes: ReadonlyMap<string, number>,
): Map<string, OutputRows> {
  return new Map(
    graph.outputs.flatMap((name): [string, OutputRows][] => {
      const asked = axes.get(name) ?? axes.get(graph.outputNames?.get(name) ?? name);
      if (asked !== undefined) return [[name, { axis: asked, how: '--rows-axis' }]];
      const dims = graph.dimensions?.get(name) ?? [];
      const [axis, another] = dims.flatMap((dim, n) => (typeof dim === 'string' && names.has(dim) ? [n] : []));
      if (axis === undefined || another !== undefined) return [];
      return [[name, { axis, how: `its dimension "${dims[axis]}"` }]];
    }),
  );
}

function checkAxes(graph: ModelGraph, axes: ReadonlyMap<string, number>): void {
  for (const [name, axis] of axes) {
    const spec = graph.inputs.find((input) => input.name === name);
    const isOutput = graph.outputs.some((tensor) => tensor === name || graph.outputNames?.get(tensor) === name);
    if (!spec && !isOutput) {
      const outputs = graph.outputs.map((tensor) => graph.outputNames?.get(tensor) ?? tensor);
      const known = [...graph.inputs.map((input) => input.name), ...outputs];
      throw new TandemError('TANDEM_USAGE', `--rows-axis ${name}=${axis}: the model has no input or output "${name}"`, {
        remedy: `it has ${known.join(', ')}`,
      });
    }
    const rank = spec && dimensionsOf(graph, spec)?.length;
    if (rank === undefined || axis < rank) continue;
    throw new TandemError('TANDEM_USAGE', `--rows-axis ${name}=${axis}: ${formatSpec(spec!)} has no axis ${axis}`, {
      remedy: `axes count from 0${rank > 0 ? ` to ${rank - 1}` : `; a single number has none: --set ${name}=VALUE`}`,
    });
  }
}

function undecided(spec: TensorSpec, what: string, remedy: string): TandemError {
  return new TandemError('TANDEM_ROWS_AXIS', `input "${spec.name}" (${formatSpec(spec)}) ${what}`, { remedy });
}

function onceForAll({ name, shape }: TensorSpec): string {
  const value = shape.length === 0 ? '16000' : shape.length === 1 ? '1,0.5,…' : `@${name}.npy`;
  const axis =
    shape.length === 0
      ? ''
      : `; or, if it has one value for each row, name their axis: --rows-axis ${name}=${shape.length > 1 ? 1 : 0}`;
  return `give it once for all rows: --set ${name}=${value}${axis}`;
}

function orAxis({ name }: TensorSpec, axis: number): string {
  return `name it: --rows-axis ${name}=${axis} or --rows-axis ${name}=0; or give it once for all rows: --set ${name}=@${name}.npy`;
}
