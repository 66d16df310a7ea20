/** The inspection of a model, as `tandem inspect --json` prints it. */
import type { TensorSpec } from '../tensor.js';

/** Sizes are bytes, and those of live tensors are for one row. */
export interface Inspection {
  readonly schema: 1;
  readonly format: string;
  readonly path: string;
  readonly inputs: readonly (TensorSpec & { readonly rows: RowsInspection })[];
  readonly outputs: readonly {
    name: string;
    tensor: string;
    dtype: string | null;
    shape: readonly (number | null)[] | null;
    rows: RowsInspection;
  }[];
  readonly weightBytes: number;
  readonly flopsPerRow: number | null;
  /** Whether a row's answer is the same whatever rows are in its micro-batch; `null` if only a run shows it. */
  readonly batchInvariant: boolean | null;
  /** Why there are no shapes; `null` if there are. */
  readonly note: string | null;
  readonly layers: readonly LayerInspection[];
  /** Layers that repeat a unit, in order. */
  readonly groups: readonly LayerGroup[];
}

/** The rows' axis of an input or output. */
export interface RowsInspection {
  /** `once`: given once for all rows. `unknown`: `how` names the flag that decides it. */
  readonly lie: 'axis' | 'once' | 'unknown';
  readonly axis: number | null;
  /** How that is known. */
  readonly how: string;
}

export interface LayerInspection {
  readonly layer: number;
  readonly name: string;
  readonly type: string;
  readonly ops: number;
  /** Of its last tensor; `null` if unknown. */
  readonly output: { readonly dtype: string; readonly shape: readonly (number | null)[] } | null;
  readonly weightBytes: number;
  readonly flopsPerRow: number | null;
  /** Whether a stage may begin with this layer; the first one always does. */
  readonly cut: boolean;
  /** Live bytes across the cut before this layer. */
  readonly liveBytesPerRow: number | null;
  readonly liveTensors: readonly string[];
}

/** A unit of layers, repeated `count` times. */
export interface LayerGroup {
  /** The common part of its layers' names, from the first to the last: `encoder/layer.0 … encoder/layer.11`. */
  readonly name: string;
  /** The type of a unit: its layer's own, or how many layers it has. */
  readonly type: string;
  /** Layers of the whole group, both included. */
  readonly layers: { readonly from: number; readonly to: number };
  /** The number of units, and the layers of each. */
  readonly count: number;
  readonly layersEach: number;
  readonly weightBytesEach: number;
  readonly weightBytes: number;
}
