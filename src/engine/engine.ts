/** The engine seam: what computes a slice. Implementations load their native parts inside `load()`, never at import. */
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';

/** `custom` is the module that TANDEM_ENGINE_MODULE names: an engine of the user's own, or of a test. */
export type EngineName = 'tfjs' | 'onnxruntime' | 'custom';

export interface EngineOptions {
  /** What the engine should compute with: `tensorflow`, `tensorflow-gpu`, `cpu`, `webgpu`, … */
  readonly provider: string;
  /** Threads inside one op. */
  readonly threads: number;
  /** Which card, where there are several. */
  readonly deviceIndex?: number;
}

/** A slice that is in memory and ready to compute. */
export interface LoadedSlice {
  /** The device that really computes, found by asking the engine, never the flag that asked for it: `cpu`, `gpu`. */
  readonly ranOn: string;
  /** Name of the device as its driver or library tells it, for people. */
  readonly deviceName: string;
  /** Bytes of the slice's weights as the engine holds them. */
  readonly weightBytes: number;
  /**
   * Compute one micro-batch. `inputs` follow `slice.inputs`; they may be views over shared memory, lent until the
   * promise settles. The result follows `slice.outputs` and belongs to the caller.
   * Throws coded errors: TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY.
   */
  run(inputs: readonly Tensor[]): Tensor[] | Promise<Tensor[]>;
  /** Takes back what `run` gave, once nobody reads it any more. Engines whose results are cheap to leave to the collector do without. */
  release?(outputs: readonly Tensor[]): void;
  /**
   * What `run` would give, were it `slice` of the same model, for inputs of these dtypes and shapes (no open dimensions), found without
   * computing; `null` where only computing can tell. Engines that cannot say do without.
   */
  foresee?(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null>;
  dispose(): void | Promise<void>;
}

/** One engine with one provider, in this thread. */
export interface Engine {
  readonly name: EngineName;
  /**
   * What of `load` needs no slice, ahead of it: the native library, and the structure of the `model` that the next slice will be of. For
   * engines of which several workers may start at once.
   */
  prepare?(model: string): Promise<void>;
  /** Read the slice's own weights and make it ready. Throws TANDEM_ENGINE_MISSING, TANDEM_MODEL_*, TANDEM_WEIGHTS_*. */
  load(slice: Slice, options: EngineOptions): Promise<LoadedSlice>;
  /**
   * What each tensor of the graph is, computed by the engine itself on one row (`feeds` follow `graph.inputs`), in memory bounded by
   * the largest op rather than by the model. Axis 0 of tensors that follow the rows is `null` in the result.
   */
  describe(graph: ModelGraph, options: EngineOptions, feeds: readonly Tensor[]): Promise<TensorFacts>;
}
