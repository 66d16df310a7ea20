/** Where each tensor of a micro-batch lies inside its slot: 64-byte aligned, and sharing bytes where lives do not meet. */
import { byteCount, type DType } from '../tensor.js';
import { ALONE } from './turns.js';

/** Alignment of every region, in bytes: what TensorFlow's and ONNX Runtime's vector kernels take without copying. */
export const ALIGNMENT = 64;

/** A tensor that must lie in the slot while stages `born` to `last` work, both included. */
export interface Resident {
  readonly name: string;
  readonly dtype: DType;
  /** Largest shape that it can have. */
  readonly shape: readonly number[];
  /** The stage that writes it; -1 for the source. */
  readonly born: number;
  /** The last stage that reads it; the number of stages for the sink. */
  readonly last: number;
}

export interface Region extends Resident {
  /** Byte offset in the slot's data. */
  readonly offset: number;
  /** Capacity in bytes. */
  readonly bytes: number;
  /** Index of its first dimension in the slot's header words. */
  readonly dimsAt: number;
}

/** Plain data: it crosses the wall once, when a worker is attached. */
export interface Layout {
  readonly regions: readonly Region[];
  readonly stages: number;
  /** For each stage, which of its pools takes each micro-batch of a round; see turns.ts. */
  readonly turns: readonly (readonly number[])[];
  readonly slots: number;
  readonly headerBytes: number;
  readonly dataBytes: number;
}

/** Header words that every slot has before what it tells of its stages, and before its dims; see slot.ts. */
export const HEADER_WORDS = 16;

/** Header words in which each stage says who computed it and when. */
export const RAN_WORDS = 6;

/**
 * Places residents by first fit, largest first. Two share bytes only if one's last stage comes strictly before the other's
 * birth: a stage never writes over what it reads.
 */
export function layOut(
  residents: readonly Resident[],
  stages: number,
  slots: number,
  turns: Layout['turns'] = new Array(stages).fill(ALONE),
): Layout {
  const bySize = residents.map((resident) => ({ ...resident, bytes: byteCount(resident.dtype, resident.shape) }));
  bySize.sort((a, b) => b.bytes - a.bytes || a.born - b.born || (a.name < b.name ? -1 : 1));
  const placed: Omit<Region, 'dimsAt'>[] = [];
  for (const resident of bySize) placed.push({ ...resident, offset: firstFit(resident, placed) });

  const order = new Map(residents.map(({ name }, n) => [name, n]));
  placed.sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  let dimsAt = HEADER_WORDS + stages * RAN_WORDS;
  const regions = placed.map((region) => {
    const at = dimsAt;
    dimsAt += region.shape.length;
    return { ...region, dimsAt: at };
  });
  return {
    regions,
    stages,
    turns,
    slots,
    headerBytes: align(dimsAt * Int32Array.BYTES_PER_ELEMENT),
    dataBytes: Math.max(0, ...placed.map(({ offset, bytes }) => align(offset + bytes))),
  };
}

/** Bytes of all slots, and of the bells after them. */
export function arenaBytes(layout: Layout): number {
  return bellsAt(layout) + bellCounts(layout).reduce((sum, count) => sum + count, 0) * ALIGNMENT;
}

/** Bells of each stage, one for each pool, and the one of whoever takes the slots after the last stage. */
export function bellCounts({ stages, turns }: Layout): number[] {
  return [...turns.slice(0, stages).map((order) => Math.max(...order) + 1), 1];
}

/** Byte offset of the bells; each has an alignment's width to itself, so that no two share a cache line. */
export function bellsAt(layout: Layout): number {
  return layout.slots * (layout.headerBytes + layout.dataBytes);
}

function firstFit(resident: Resident & { bytes: number }, placed: readonly Omit<Region, 'dimsAt'>[]): number {
  const rivals = placed
    .filter((other) => other.born <= resident.last && resident.born <= other.last)
    .sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const rival of rivals) {
    if (offset + resident.bytes <= rival.offset) break;
    offset = Math.max(offset, align(rival.offset + rival.bytes));
  }
  return offset;
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
