/** Values that the user gives once for all rows (numbers, lists or files), as tensors of the input's type and shape. */
import { readFile } from 'node:fs/promises';
import { readRunnable } from '../engine/runnable.js';
import { asTandemError, TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { withRows } from '../model/rows-axis.js';
import { nearestName } from '../nearest-name.js';
import { allocate, elementCount, formatSpec, type Tensor, type TensorSpec, type TypedArray } from '../tensor.js';
import { parseJson } from './json/bare-words.js';
import { NestedList, nestedDims } from './json/nested-list.js';
import { openNpy } from './npy/open-npy.js';
import { RowFault } from './row-fault.js';

/** A number, nested lists of numbers, or a flat typed array; as text also `0.5,1,2`, `@file.npy` or `@file.json`. */
export type GivenValue = number | bigint | boolean | string | TypedArray | readonly GivenValue[];

/** What the user decides about a model's inputs. */
export interface GivenRows {
  /** The engine to take: the id of one in the list, or the module of one of the user's own. */
  readonly engine?: string | URL | undefined;
  /** Values given once for all rows, by input. */
  readonly set?: Readonly<Record<string, GivenValue>> | undefined;
  /** The rows' axis, by input or output. */
  readonly rowsAxis?: Readonly<Record<string, number>> | undefined;
  /** Let values pass that hold NaN or infinities, as in rows. */
  readonly allowNonFinite?: boolean | undefined;
}

/**
 * The model with the user's decisions about its inputs. Throws TANDEM_USAGE for a value that does not fit, TANDEM_INPUT_MISSING for a
 * missing file, TANDEM_ROWS_AXIS if a rows' axis is still undecided, and what `readRunnable` throws.
 */
export async function openGiven(
  path: string,
  { engine, set = {}, rowsAxis = {}, allowNonFinite = false }: GivenRows,
): Promise<ModelGraph> {
  const graph = await readRunnable(path, { fed: Object.keys(set), engine });
  return withRows(graph, {
    given: await givenValues(graph, set, allowNonFinite),
    axes: new Map(Object.entries(rowsAxis)),
  });
}

/** The values by input name. `graph` was read with these inputs as given. */
export async function givenValues(
  graph: ModelGraph,
  set: NonNullable<GivenRows['set']>,
  allowNonFinite: boolean,
): Promise<Map<string, Tensor>> {
  const given = new Map<string, Tensor>();
  for (const [name, value] of Object.entries(set)) {
    const spec = graph.inputs.find((input) => input.name === name);
    if (!spec) throw noInput(graph, name);
    const takes = graph.dimensions?.get(name) === null ? { ...spec, openRank: true } : spec;
    given.set(name, await tensorOf(takes, value, allowNonFinite));
  }
  return given;
}

async function tensorOf(spec: TensorSpec, value: GivenValue, allowNonFinite: boolean): Promise<Tensor> {
  if (typeof value !== 'string') return fromLists(spec, value, allowNonFinite);
  if (!value.startsWith('@')) return fromLists(spec, fromText(value), allowNonFinite);
  const path = value.slice(1);
  if (path.endsWith('.npy')) return fromNpy(spec, path, allowNonFinite);
  try {
    return fromLists(spec, parseJson(await readFile(path, 'utf8')), allowNonFinite);
  } catch (cause) {
    if (cause instanceof TandemError) throw cause;
    throw new TandemError('TANDEM_INPUT_MISSING', `--set ${spec.name}=${value}: ${(cause as Error).message}`, {
      remedy: 'give the path of an .npy file, or of a .json file that holds a number or nested lists',
      cause,
    });
  }
}

/** JSON, or numbers separated by commas. */
function fromText(text: string): unknown {
  for (const json of [text, `[${text}]`]) {
    try {
      return parseJson(json);
    } catch {}
  }
  return text;
}

function fromLists(spec: TensorSpec, value: unknown, allowNonFinite: boolean): Tensor {
  const found = nestedDims(value);
  const size = elementCount(found);
  const fixed = spec.openRank || spec.shape.includes(null) ? null : (spec.shape as number[]);
  // One number, or a flat list, is enough if only one shape is possible.
  const isFlat = found.length <= 1 && fixed !== null && elementCount(fixed) === size;
  const fits =
    spec.openRank || (found.length === spec.shape.length && found.every((dim, n) => (spec.shape[n] ?? dim) === dim));
  if (!fits && !isFlat) throw unfit(spec, `it is [${found.join(', ')}]`);
  const data = allocate(spec.dtype, found);
  try {
    const number = typeof value === 'bigint' ? String(value) : value;
    new NestedList({ ...spec, shape: found }, found, { firstGoodRow: 0, allowNonFinite }).write(
      number,
      spec.name,
      data,
      0,
    );
  } catch (error) {
    if (error instanceof RowFault) throw faulty(spec, error);
    throw error;
  }
  return { dtype: spec.dtype, shape: fits ? found : fixed!, data };
}

async function fromNpy(spec: TensorSpec, path: string, allowNonFinite: boolean): Promise<Tensor> {
  // A source reads arrays with a rows' axis in front. A value has none, so its first axis is read as the rows' axis.
  const source = await openNpy(new Map([[spec.name, path]]), [spec], { firstRow: 0, allowNonFinite }).catch((error) => {
    const { code, message, remedy } = asTandemError(error);
    throw new TandemError(code, `--set ${spec.name}=@${path}: ${message}`, { remedy, cause: error });
  });
  try {
    const shape = [source.rows!, ...(source.rowSpecs[0]!.shape as number[])];
    const tensor: Tensor = { dtype: spec.dtype, shape, data: allocate(spec.dtype, shape) };
    const { failures } = await source.read([tensor]);
    if (failures.length > 0) throw faulty(spec, failures[0]!);
    const fits = spec.openRank || shape.every((dim, n) => (spec.shape[n] ?? dim) === dim);
    if (!fits) throw unfit(spec, `${path} is [${shape.join(', ')}]`);
    return tensor;
  } finally {
    await source.close();
  }
}

/** What rows are refused for, too. */
function faulty(spec: TensorSpec, { code, message }: { readonly code: string; readonly message: string }): TandemError {
  if (code !== 'TANDEM_ROW_NOT_FINITE') return unfit(spec, message);
  return new TandemError('TANDEM_USAGE', `--set ${spec.name}: ${message}`, {
    remedy: '--allow-non-finite (allowNonFinite in TypeScript) lets NaN and infinities pass, in rows too',
  });
}

function unfit(spec: TensorSpec, why: string): TandemError {
  const takes = spec.openRank ? spec.dtype : formatSpec(spec);
  return new TandemError('TANDEM_USAGE', `--set ${spec.name}: ${why}, and the input takes ${takes}`, {
    remedy: `write --set ${spec.name}=0.5,1,2 or, as JSON, --set '${spec.name}=[[1,2],[3,4]]', or name a file: --set ${spec.name}=@value.npy`,
  });
}

function noInput({ inputs }: ModelGraph, name: string): TandemError {
  const names = inputs.map((input) => input.name);
  const nearest = nearestName(name, names);
  return new TandemError('TANDEM_USAGE', `--set ${name}: the model has no input "${name}"`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}its inputs are ${names.join(', ')}`,
  });
}
