/** A decoder's slice in a worker, thread or process: loaded once, then visited. */
import { asTandemError, TandemError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { openEngine } from './choose.js';
import type { DecoderHold, LoadedDecoderSlice, StageVisit } from './decoder-slice.js';
import type { EngineOptions } from './engine.js';

export class HeldDecoder {
  #loaded: LoadedDecoderSlice | undefined;

  /** Replaces what was held before. Throws TANDEM_MODEL_UNSUPPORTED for an engine that keeps no state. */
  async hold(engineId: string, hold: DecoderHold, options: EngineOptions): Promise<LoadedDecoderSlice> {
    await this.dispose();
    const engine = await openEngine(engineId);
    if (!engine.loadDecoder) {
      throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the engine ${engineId} keeps no state between tokens`);
    }
    this.#loaded = await engine.loadDecoder(hold, options);
    return this.#loaded;
  }

  /** Throws TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
  async visit(visit: StageVisit): Promise<{ readonly outputs: readonly Tensor[]; readonly micros: number }> {
    if (!this.#loaded) throw new TandemError('TANDEM_INTERNAL', 'a decoder was visited before it was loaded');
    const start = process.hrtime.bigint();
    try {
      const outputs = await this.#loaded.visit(visit);
      return { outputs: outputs.map(alone), micros: Number(process.hrtime.bigint() - start) / 1e3 };
    } catch (error) {
      throw asTandemError(error, 'TANDEM_ENGINE_FAILED');
    }
  }

  async dispose(): Promise<void> {
    await this.#loaded?.dispose();
    this.#loaded = undefined;
  }
}

/** A message has the whole memory below a view. */
function alone(tensor: Tensor): Tensor {
  const { data } = tensor;
  return data.byteLength === data.buffer.byteLength ? tensor : { ...tensor, data: data.slice() };
}
