/** The layout: the offset of each tensor of a micro-batch in its slot, 64-byte aligned. Tensors that never live at the same time share bytes. */
import { type Lifetime, meet } from '../liveness.js';
import { byteCount, type DType } from '../tensor.js';
import type { Route } from './route.js';

/** Alignment of every region, in bytes: what TensorFlow's and ONNX Runtime's vector kernels take without copying. */
export const ALIGNMENT = 64;

/** A tensor that must lie in the slot during steps `born` to `last` of the route: -1 is the source, the number of steps the sink. */
export interface Resident extends Lifetime {
  readonly name: string;
  readonly dtype: DType;
  /** Largest shape that it can have, or one of the largest if it has others that take other room. */
  readonly shape: readonly number[];
  /** Bytes that it needs at most, where another shape than `shape` needs more. */
  readonly bytes?: number | undefined;
}

export interface Region extends Resident {
  /** Byte offset in the slot's data. */
  readonly offset: number;
  /** Capacity in bytes. */
  readonly bytes: number;
  /** Index of its first dimension in the slot's header words. */
  readonly dimsAt: number;
}

/** Plain data: sent to a worker once, when it is attached. */
export interface Layout extends Route {
  readonly regions: readonly Region[];
  readonly slots: number;
  readonly headerBytes: number;
  readonly dataBytes: number;
}

/** Header words of every slot, before the words of its visits and its dims; see slot.ts and slot-header.ts. */
export const HEADER_WORDS = 16;

/** Header words of one visit (a step in a round): its times, its worker, and its rank. */
export const VISIT_WORDS = 8;

/**
 * Places residents by first fit, largest first. Two share bytes only if the last step of one comes strictly before the step that writes the
 * other: a step never overwrites what it reads.
 */
export function layOut(residents: readonly Resident[], route: Route, slots: number): Layout {
  const bySize = residents.map((resident) => ({ ...resident, bytes: bytesOf(resident) }));
  bySize.sort((a, b) => b.bytes - a.bytes || a.born - b.born || (a.name < b.name ? -1 : 1));
  const placed: Omit<Region, 'dimsAt'>[] = [];
  for (const resident of bySize) placed.push({ ...resident, offset: firstFit(resident, placed) });

  const order = new Map(residents.map(({ name }, n) => [name, n]));
  placed.sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  let dimsAt = HEADER_WORDS + route.rounds * route.steps.length * VISIT_WORDS;
  const regions = placed.map((region) => {
    const at = dimsAt;
    dimsAt += region.shape.length;
    return { ...region, dimsAt: at };
  });
  return {
    ...route,
    regions,
    slots,
    headerBytes: align(dimsAt * Int32Array.BYTES_PER_ELEMENT),
    dataBytes: Math.max(0, ...placed.map(({ offset, bytes }) => align(offset + bytes))),
  };
}

/** Bytes of all slots and of the wait queues behind them: one for each pool, and one for the coordinator. */
export function arenaBytes(layout: Layout): number {
  return waitQueuesAt(layout) + (layout.workers.length + 1) * ALIGNMENT;
}

/** Byte offset of the wait queues. Each takes ALIGNMENT bytes, so that no two share a cache line. */
export function waitQueuesAt(layout: Layout): number {
  return layout.slots * (layout.headerBytes + layout.dataBytes);
}

/** Whole elements, and at least its shape. */
function bytesOf({ dtype, shape, bytes = 0 }: Resident): number {
  return Math.max(byteCount(dtype, shape), align(bytes));
}

function firstFit(resident: Resident & { bytes: number }, placed: readonly Omit<Region, 'dimsAt'>[]): number {
  const alternatives = placed.filter((other) => meet(other, resident)).sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const alternative of alternatives) {
    if (offset + resident.bytes <= alternative.offset) break;
    offset = Math.max(offset, align(alternative.offset + alternative.bytes));
  }
  return offset;
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
