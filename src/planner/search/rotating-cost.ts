/** The cost of rotation: what it adds to the seconds of a stage, and the bytes that the stage then holds. */
import { sum } from '../../sums.js';
import type { StageCost } from './cost.js';
import { layerTablesOf, type ProfiledModel } from './layer-tables.js';
import { leastWindow, type Rotation, rotationOf } from './rotation.js';
import type { StageOption } from './topology.js';

export interface RotatingCost {
  /** How it rotates with layers [from, to); `null` if it holds them. */
  readonly rotation: (from: number, to: number) => Rotation | null;
  /** Seconds that it adds to each micro-batch. */
  readonly seconds: (from: number, to: number) => number;
  /** Bytes of its process, slots not included. If no rotation fits, those of the smallest one. */
  readonly bytes: (from: number, to: number) => number;
}

/** The blocks in which micro-batches go through stages that rotate. */
export interface Blocks {
  /** Micro-batches of a block. */
  readonly size: number;
  /** A block in each stage, and one that is filled. */
  readonly slots: number;
}

/** Slices that a worker has loaded: the resident one and the window. */
const SESSIONS = 2;

/** Bytes that loading and releasing leave in the allocator and in the heap of JavaScript: 18 to 28 MiB in a transformer of 146 MiB. */
const LEFT_BYTES = 32 * 2 ** 20;

/** An option that may not rotate, or has no budget, holds all its layers. */
export function rotatingCost(
  search: ProfiledModel & { readonly blocks?: Blocks | undefined },
  { rotate = 'never', memory }: Pick<StageOption, 'rotate' | 'memory'>,
  cost: StageCost,
  { workers, scale }: { readonly workers: number; readonly scale: number },
): RotatingCost {
  const held = (from: number, to: number) => cost.bytes(from, to, workers) * scale;
  const { blocks } = search;
  if (rotate === 'never' || memory === undefined || blocks === undefined) {
    return { rotation: () => null, seconds: () => 0, bytes: held };
  }
  const tables = layerTablesOf(search);
  const bytesOf = (weights: number) => (cost.bytesWith(weights, workers, SESSIONS) + LEFT_BYTES) * scale;
  /** Slots also hold the tensors between its passes. */
  const between = (from: number, to: number) => blocks.slots * tables.mostLive(from, to);
  const known = new Map<string, Rotation | null>();
  const find = (from: number, to: number) => {
    const room = memory - blocks.slots * ((tables.live[from] ?? 0) + (tables.live[to] ?? 0)) - between(from, to);
    if (rotate === 'auto' && held(from, to) <= room) return null;
    return rotationOf(tables, { from, to }, (resident, window) => bytesOf(resident + window) <= room);
  };
  const rotation = (from: number, to: number) => {
    const key = `${from} ${to}`;
    if (!known.has(key)) known.set(key, find(from, to));
    return known.get(key)!;
  };
  return {
    rotation,
    seconds: (from, to) => {
      const found = rotation(from, to);
      if (!found) return 0;
      const hops = sum(found.passes.slice(1).map((pass) => cost.hop(pass.from)));
      return hops + (found.streamedBytes * cost.loadSecondsPerByte) / blocks.size;
    },
    bytes: (from, to) => {
      const found = rotation(from, to);
      if (found) return bytesOf(found.residentBytes + found.windowBytes) + between(from, to);
      return Math.min(held(from, to), bytesOf(leastWindow(tables, { from, to })) + between(from, to));
    },
  };
}
