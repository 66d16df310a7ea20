/** The engine seam: computes slices. Implementations load their native parts inside `load()`, never at import. */
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import type { Slice } from '../model/slice.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import type { DecoderHold, LoadedDecoderSlice } from './decoder-slice.js';

export interface EngineOptions {
  /** The part of the engine to compute with: `tensorflow`, `tensorflow-gpu`, `cpu`, `webgpu`, … */
  readonly provider: string;
  /** Threads inside one op. */
  readonly threads: number;
  /** The number of the card. */
  readonly deviceIndex?: number;
  /** Bytes that the stage may hold, if it has a budget: for engines that can keep to it. */
  readonly memory?: number;
}

/** A slice that is in memory and ready to compute. */
export interface LoadedSlice {
  /** The device that really computes, as the engine reports it, never as it was asked for: `cpu`, `gpu`. */
  readonly ranOn: string;
  /** Name of the device, as its driver or library reports it, for people. */
  readonly deviceName: string;
  /** Bytes of the slice's weights in the engine. */
  readonly weightBytes: number;
  /**
   * Compute one micro-batch. `inputs` follow `slice.inputs`; they may be views over shared memory, lent until the
   * promise settles. The result follows `slice.outputs` and belongs to the caller.
   * Throws coded errors: TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY.
   */
  run(inputs: readonly Tensor[]): Tensor[] | Promise<Tensor[]>;
  /**
   * Called before runs with inputs of these dtypes and shapes, which most runs from now on have: the engine may get ready for them.
   * Optional. Throws TANDEM_OUT_OF_MEMORY.
   */
  expect?(inputs: readonly Tensor[]): void;
  /** Frees a result of `run` after its last read. Optional: without it the garbage collector frees results. */
  release?(outputs: readonly Tensor[]): void;
  /**
   * The dtypes and shapes that `run` of another `slice` of the same model would give for these inputs (no open dimensions), without
   * computing; `null` if they depend on values. Optional.
   */
  infer?(slice: Slice, inputs: readonly TensorSpec[]): Promise<readonly TensorSpec[] | null>;
  dispose(): void | Promise<void>;
  /** Optional: loads the slice once more after `dispose`, with all but the weights kept. Errors as of `Engine.load`. */
  readonly again?: () => Promise<LoadedSlice>;
}

/** One engine with one provider, in this thread. */
export interface Engine {
  /** For people. */
  readonly name: string;
  /**
   * Does the part of `load` that needs no slice: the native library, and the structure of the next slice's `model`. For
   * engines of which several workers may start at once.
   */
  prepare?(model: string): Promise<void>;
  /** Read the slice's own weights and make it ready. Throws TANDEM_ENGINE_MISSING, TANDEM_MODEL_*, TANDEM_WEIGHTS_*. */
  load(slice: Slice, options: EngineOptions): Promise<LoadedSlice>;
  /** Optional: loads a slice of a decoder with the state of its layers. Errors as of `load`. */
  loadDecoder?(hold: DecoderHold, options: EngineOptions): Promise<LoadedDecoderSlice>;
  /**
   * The dtype and shape of each tensor of the graph, by the engine itself on one row (`feeds` follow `graph.inputs`), in memory bounded by
   * the largest op rather than by the model. Axis 0 of tensors that follow the rows is `null` in the result.
   */
  describe(graph: ModelGraph, options: EngineOptions, feeds: readonly Tensor[]): Promise<TensorFacts>;
}
