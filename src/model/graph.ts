/** The model graph: ops in one fixed topological order, the tensors between them and the weights they own. All formats are read into this. */
import type { DType, Tensor, TensorSpec } from '../tensor.js';

export type ModelFormat = 'layers-model' | 'graph-model' | 'onnx';

/** A weight as stored on disk; the graph does not hold its values. */
export interface Weight {
  readonly name: string;
  /** Element type as stored (a quantised weight is smaller on disk than in use). Types that never cross a cut are free text. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes on disk. */
  readonly bytes: number;
}

/** One op: the unit that is never divided. For a LayersModel it is one call of a layer, for a GraphModel or ONNX one node. */
export interface Op {
  /** Position in `ModelGraph.ops`. */
  readonly index: number;
  /** Unique in the graph. */
  readonly name: string;
  readonly type: string;
  /** Names of the tensors that it reads, in the op's own order; weights are not among them. */
  readonly inputs: readonly string[];
  /** Names of its result tensors, in the op's own order. */
  readonly outputs: readonly string[];
  /** Names of the weights that it reads. Two ops may share one (a shared layer); a slice with both loads it once. */
  readonly weights: readonly string[];
}

/** A layer: consecutive ops that a person sees as one unit; `layers=A..B` counts these. */
export interface Layer {
  readonly index: number;
  readonly name: string;
  readonly type: string;
  /** First op. */
  readonly from: number;
  /** One past the last op. */
  readonly to: number;
}

export interface ModelGraph {
  readonly format: ModelFormat;
  /** The engines that may run it, by id, the preferred one first. If they are set, `forbiddenCuts` includes theirs. */
  readonly engines?: readonly string[];
  /** Absolute path of the model file. */
  readonly path: string;
  /** Absolute path of the folder that weights must stay in. */
  readonly folder: string;
  /** Absolute paths of all files of the model, the model file first. */
  readonly files: readonly string[];
  readonly inputs: readonly TensorSpec[];
  /** Names of the tensors that the model returns, in its own order. */
  readonly outputs: readonly string[];
  readonly ops: readonly Op[];
  readonly layers: readonly Layer[];
  readonly weights: ReadonlyMap<string, Weight>;
  /**
   * Forbidden cuts: positions k (0 < k < ops.length) where a cut between op k-1 and op k would divide ops that must stay together:
   * control flow, tables, masks, values that are not plain tensors.
   */
  readonly forbiddenCuts: ReadonlySet<number>;
  /** The public name of an output, if it differs from its tensor's name. */
  readonly outputNames?: ReadonlyMap<string, string>;
  /**
   * Of inputs and outputs, by tensor name, the dimensions with the model's names for them, if the format has names; `null` if not
   * even their number is declared.
   */
  readonly dimensions?: ReadonlyMap<string, readonly (number | string | null)[] | null>;
  /** Names of inputs with a value in the model that are fed instead. */
  readonly fed?: readonly string[];
  /** If it is a number, every micro-batch has exactly that many rows. */
  readonly fixedBatch: number | null;
  /** By its signature it takes any number of rows, but it computes one at a time. */
  readonly oneRow?: boolean;
  /** By name, how the inputs follow the rows. If an input is not listed, its axis 0 is the rows' axis. */
  readonly inputRows?: ReadonlyMap<string, InputRows>;
  /** The rows' axis of outputs, by tensor name, as far as it is known before anything has run. */
  readonly outputRows?: ReadonlyMap<string, OutputRows>;
  /** Whether its ops alone prove that no row of a micro-batch can change another's answer, if rows are on axis 0 of all inputs. */
  readonly batchInvariant: boolean;
}

/** How an output follows the rows. */
export interface OutputRows {
  readonly axis: number;
  /** How that is known, for people. */
  readonly how: string;
}

/** How an input follows the rows. */
export interface InputRows {
  /** The rows' axis; `null`: it is given once for all rows, as `value`. */
  readonly axis: number | null;
  readonly value?: Tensor | undefined;
  /** How that is known, for people. */
  readonly how: string;
}

/** A tensor's dtype and shape by the engine; at most one dimension is `null`: the rows' axis. */
export type TensorFacts = ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly (number | null)[] }>;

/** Bytes on disk of the weights that ops `from` (inclusive) to `to` (exclusive) read, each counted once. */
export function weightBytes(graph: Pick<ModelGraph, 'ops' | 'weights'>, from: number, to: number): number {
  const seen = new Set<string>();
  let bytes = 0;
  for (let k = from; k < to; k++) {
    for (const name of graph.ops[k]!.weights) {
      if (seen.has(name)) continue;
      seen.add(name);
      bytes += graph.weights.get(name)?.bytes ?? 0;
    }
  }
  return bytes;
}
