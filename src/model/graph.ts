/** The model graph: ops in one fixed topological order, the tensors between them and the weights they own. All formats become this. */
import type { DType, TensorSpec } from '../tensor.js';

export type ModelFormat = 'layers-model' | 'graph-model' | 'onnx';

/** A weight as it lies on disk; its values are never held by the graph. */
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
  /** Names of the tensors that it makes, in the op's own order. */
  readonly outputs: readonly string[];
  /** Names of the weights that it reads. Two ops may share one (a shared layer); a slice with both loads it once. */
  readonly weights: readonly string[];
}

/** A run of ops that a person sees as one thing: `layers=A..B` counts these. */
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
  /** Absolute path of the model file. */
  readonly path: string;
  /** Absolute path of the folder that weights must stay in. */
  readonly folder: string;
  /** Absolute paths of all files that the model is made of, the model file first. */
  readonly files: readonly string[];
  readonly inputs: readonly TensorSpec[];
  /** Names of the tensors that the model returns, in its own order. */
  readonly outputs: readonly string[];
  readonly ops: readonly Op[];
  readonly layers: readonly Layer[];
  readonly weights: ReadonlyMap<string, Weight>;
  /**
   * Positions k (0 < k < ops.length) where a cut between op k-1 and op k would divide what must stay together:
   * control flow, tables, masks, values that are not plain tensors.
   */
  readonly sealed: ReadonlySet<number>;
  /** The public name of an output, where it differs from its tensor's name. */
  readonly outputNames?: ReadonlyMap<string, string>;
  /** Whether axis 0 of every input is the rows' axis. When it is a number, every micro-batch has exactly that many rows. */
  readonly fixedBatch: number | null;
}

/** What the engine found a tensor to be; `null` dimensions follow the rows. */
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
