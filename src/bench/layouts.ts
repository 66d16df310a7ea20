/** The layouts that a bench compares: stages without a cut; the planner cuts the model. */
import type { StageOptions } from '../plan/stage-options.js';

export interface Layout {
  /** Its name in the table. */
  readonly name: string;
  /** `whole`: one stage has every layer; `split`: the layers are spread. */
  readonly kind: 'whole' | 'split';
  readonly stages: readonly StageOptions[];
}

export interface Resources {
  readonly cores: number;
  /** Cards that the engine can use. */
  readonly cards: number;
  /** Layers of the model: it cannot be cut into more stages. */
  readonly layers: number;
}

/** The first is the baseline: one copy of the model on all cores, or on the card. */
export function layoutsFor({ cores, cards, layers }: Resources): Layout[] {
  const whole: Layout[] = [];
  if (cards > 0) whole.push({ name: 'whole model, gpu', kind: 'whole', stages: [{ device: 'gpu' }] });
  whole.push({ name: `whole model, ${threads(cores)}`, kind: 'whole', stages: [{ device: 'cpu', threads: cores }] });
  if (cores > 1) {
    whole.push({
      name: `whole model, ${cores} workers of 1 thread`,
      kind: 'whole',
      stages: [{ device: 'cpu', threads: 1, workers: cores }],
    });
  }
  return [...whole, ...splitsFor({ cores, cards, layers })];
}

function splitsFor({ cores, cards, layers }: Resources): Layout[] {
  if (layers < 2) return [];
  const splits: Layout[] = [];
  if (cards > 0) {
    // One core runs the card's worker.
    const left = Math.max(1, cores - 1);
    const gpu = { device: 'gpu' };
    splits.push(split([gpu, { device: 'cpu', threads: left }], `gpu + ${threads(left)}`));
    if (left > 1) {
      splits.push(split([gpu, { device: 'cpu', threads: 1, workers: left }], `gpu + ${left} workers of 1 thread`));
    }
  }
  for (const stages of [2, 3, 4]) {
    if (cores % stages !== 0 || stages > layers) continue;
    const each = cores / stages;
    splits.push(split(same(stages, { device: 'cpu', threads: each }), `${stages} stages of ${threads(each)}`));
    if (each > 1) {
      const name = `${stages} stages of ${each} workers`;
      splits.push(split(same(stages, { device: 'cpu', threads: 1, workers: each }), name));
    }
  }
  return splits;
}

function split(stages: readonly StageOptions[], name: string): Layout {
  return { name: `split, ${name}`, kind: 'split', stages };
}

function same(count: number, stage: StageOptions): StageOptions[] {
  return Array.from({ length: count }, () => stage);
}

function threads(count: number): string {
  return count === 1 ? '1 thread' : `${count} threads`;
}
