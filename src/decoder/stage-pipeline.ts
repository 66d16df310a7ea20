/** The stages of a decoder in a row: visits go through them one behind the other, and several are under way at once. */
import type { StageVisit } from '../engine/decoder-slice.js';
import type { DecoderStage } from '../pool/decoder-stage.js';
import type { Tensor } from '../tensor.js';

/** Microseconds that a stage computed. */
interface Busy {
  prefill: number;
  decode: number;
}

export class StagePipeline {
  readonly stages: readonly DecoderStage[];
  /** By stage, since the last `reset`. */
  busy: readonly Busy[] = [];

  constructor(stages: readonly DecoderStage[]) {
    this.stages = stages;
    this.reset();
  }

  reset(): void {
    this.busy = this.stages.map(() => ({ prefill: 0, decode: 0 }));
  }

  /** The last stage's logits. Visits leave each stage in the order in which they came. Throws what `DecoderStage.visit` throws. */
  async visit(visit: Omit<StageVisit, 'carried'>, kind: keyof Busy): Promise<Tensor> {
    const values = new Map<string, Tensor>();
    let last: readonly Tensor[] = [];
    for (const [n, stage] of this.stages.entries()) {
      const carried = stage.slice.inputs.map((name) => values.get(name)!);
      const { outputs, micros } = await stage.visit({ ...visit, carried });
      this.busy[n]![kind] += micros;
      for (const [k, name] of stage.slice.outputs.entries()) values.set(name, outputs[k]!);
      last = outputs;
    }
    return last[0]!;
  }

  /** Starts those again that have died. Throws TANDEM_STAGE_LOST. */
  async restart(): Promise<void> {
    for (const stage of this.stages) {
      if (stage.isOpen) continue;
      await stage.open();
      stage.restarts += 1;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.stages.map((stage) => stage.close()));
  }
}
