/**
 * The schedule as data: which worker computes which micro-batch in which pass of which stage, and when it loads and unloads passes.
 * A pure generator makes it before a run; a run can be recorded in the same form.
 *
 * m micro-batches, n stages; i is a micro-batch, j a stage. There is only a forward pass, so with one pass a stage it is GPipe's forward
 * clock: at step t stage j works on micro-batch t - j (Huang et al. 2019, arXiv:1811.06965; torchgpipe's `clock_cycles`).
 *
 *   time     0  1  2  3  4
 *   stage 0  0  1  2  3  ·
 *   stage 1  ·  0  1  2  3
 */
import type { Route } from '../arena/route.js';

interface Visit {
  readonly pool: number;
  /** Its index in its pool. */
  readonly worker: number;
  readonly stage: number;
  readonly pass: number;
  /** Steps of the generator's clock, or microseconds of a run; `to` is exclusive. */
  readonly from: number;
  readonly to: number;
}

/** A worker computes a micro-batch in a pass. */
export interface ComputeVisit extends Visit {
  readonly kind: 'compute';
  readonly microBatch: number;
  /** How often the micro-batch had been through all steps. */
  readonly round: number;
  readonly slot: number;
}

/** A worker loads the weights of a pass, or unloads them. */
export interface LoadVisit extends Visit {
  readonly kind: 'load' | 'unload';
}

export type Schedule = readonly (ComputeVisit | LoadVisit)[];

/** What a schedule is made for. */
export interface ScheduleShape extends Pick<Route, 'steps' | 'workers'> {
  /** Slots: the most micro-batches in flight. */
  readonly depth: number;
  /** How often each micro-batch goes through all steps; default 1. */
  readonly rounds?: number;
  /**
   * Passes that a worker can hold at once, besides those that stay loaded if any step of the route rotates. Default all, or one that rotates.
   */
  readonly holds?: number;
  /** The sequence group of each micro-batch; default none. */
  readonly groupOf?: (microBatch: number) => number;
}

/** Keys of the passes that a pool's workers compute. */
export function passesOfPool({ steps }: Pick<ScheduleShape, 'steps'>, pool: number): string[] {
  return [...new Set(steps.filter(({ pools }) => pools.includes(pool)).map(({ slice }) => slice))];
}

/** Keys of those that a pool's workers load and unload: if any rotates, the rotating ones, else all that they have no room for. */
export function movingPasses(shape: ScheduleShape, pool: number): string[] {
  const own = shape.steps.filter(({ pools }) => pools.includes(pool));
  if (own.some(({ rotates }) => rotates)) {
    return [...new Set(own.filter(({ rotates }) => rotates).map(({ slice }) => slice))];
  }
  const all = passesOfPool(shape, pool);
  return (shape.holds ?? Number.POSITIVE_INFINITY) >= all.length ? [] : all;
}

/** Moving passes that a worker of the pool can hold at once. */
export function roomOf(shape: ScheduleShape, pool: number): number {
  const rotates = shape.steps.some((step) => step.rotates && step.pools.includes(pool));
  return shape.holds ?? (rotates ? 1 : Number.POSITIVE_INFINITY);
}

/** What a pool's workers hold from the start. */
export function heldFromStart(shape: ScheduleShape, pool: number): string[] {
  const moving = movingPasses(shape, pool);
  return passesOfPool(shape, pool).filter((slice) => !moving.includes(slice));
}
