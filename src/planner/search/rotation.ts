/** Rotation: which layers of a stage stay loaded, and which are loaded anew for each block of micro-batches. */
import type { LayerRange } from '../../plan/stage-options.js';
import type { LayerTables } from './layer-tables.js';

/** Layers [from, to). */
export interface Rotation {
  /** Consecutive; each is loaded as a whole. */
  readonly passes: readonly LayerRange[];
  /** So many of the first passes stay loaded. */
  readonly resident: number;
  /** Bytes of the weights that stay loaded, of the largest pass besides, and of all that are loaded for each block. */
  readonly residentBytes: number;
  readonly windowBytes: number;
  readonly streamedBytes: number;
}

/**
 * As many of the first layers as possible stay loaded; the others pass through a window as large as the largest of them. Memory is worth more
 * in resident layers than in a wider window: each saves loading itself, and a wider window saves nothing (sgl-project/sglang#31538: 36.7 s with
 * 30 resident layers and a window of one, 56.1 s with a window of 16 in the same memory). `null` if not even the largest layer fits, or if there is nothing to
 * rotate.
 */
export function rotationOf(
  { weights, isCutPoint }: Pick<LayerTables, 'weights' | 'isCutPoint'>,
  { from, to }: LayerRange,
  fits: (residentBytes: number, windowBytes: number) => boolean,
): Rotation | null {
  const ends = endsOf(isCutPoint, { from, to });
  const units = ends.length - 1;
  let windowBytes = 0;
  let found: { readonly first: number; readonly windowBytes: number } | null = null;
  for (let first = units - 1; first >= 0; first--) {
    windowBytes = Math.max(windowBytes, weights(ends[first]!, ends[first + 1]!));
    // Of two layers at least, one can take the other's place.
    if (first <= units - 2 && fits(weights(from, ends[first]!), windowBytes)) {
      found = { first, windowBytes };
      break;
    }
  }
  return found && rotationFrom({ weights }, ends, found);
}

function rotationFrom(
  { weights }: Pick<LayerTables, 'weights'>,
  ends: readonly number[],
  { first, windowBytes }: { readonly first: number; readonly windowBytes: number },
): Rotation {
  const passes: LayerRange[] = first > 0 ? [{ from: ends[0]!, to: ends[first]! }] : [];
  const resident = passes.length;
  let streamedBytes = 0;
  for (let n = first; n < ends.length - 1; ) {
    const start = ends[n]!;
    n += 1;
    while (n < ends.length - 1 && weights(start, ends[n + 1]!) <= windowBytes) n += 1;
    passes.push({ from: start, to: ends[n]! });
    streamedBytes += weights(start, ends[n]!);
  }
  return { passes, resident, residentBytes: weights(ends[0]!, ends[first]!), windowBytes, streamedBytes };
}

/** Bytes of the largest layer: with less, nothing can rotate. */
export function leastWindow(
  { weights, isCutPoint }: Pick<LayerTables, 'weights' | 'isCutPoint'>,
  range: LayerRange,
): number {
  const ends = endsOf(isCutPoint, range);
  return Math.max(...ends.slice(1).map((end, n) => weights(ends[n]!, end)));
}

/** Where the parts begin that cannot be cut, and where the last one ends. */
function endsOf(isCutPoint: LayerTables['isCutPoint'], { from, to }: LayerRange): number[] {
  const ends = [from];
  for (let k = from + 1; k < to; k++) if (isCutPoint(k)) ends.push(k);
  return [...ends, to];
}

/** The share of its time that a stage may spend on loading, if its memory allows so large a block. */
const LOADING_SHARE = 0.05;

/** Micro-batches of a block. */
const BLOCK = { least: 2, most: 64 };

/**
 * Micro-batches of a block, a power of two: so many that loading everything takes a small share of the time of computing them. In blocks of K, a
 * micro-batch takes K c / (K c + l) of the pace of a stage that holds everything; `loadSeconds` is l, `seconds` is c. `most`: those for which there are rows and
 * memory.
 */
export function blockFor(
  { seconds, loadSeconds }: { readonly seconds: number; readonly loadSeconds: number },
  most: number,
): number {
  const wanted = ((1 - LOADING_SHARE) * loadSeconds) / (LOADING_SHARE * Math.max(seconds, 1e-9));
  const block = 2 ** Math.ceil(Math.log2(Math.max(BLOCK.least, Math.min(BLOCK.most, wanted))));
  return Math.max(1, Math.min(block, Math.floor(most)));
}
