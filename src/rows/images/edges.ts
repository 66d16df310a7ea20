/** The size of an image whose shortest edge becomes a length, unless its longest edge would pass another: what detectors such as DETR are given. */
import type { Size } from './image-settings.js';

/**
 * As transformers computes it (`get_size_with_aspect_ratio` in image_transforms.py), in the same order of operations, so that no size differs by a pixel.
 */
export function sizeByEdges({ width, height }: Size, shortest: number, longest: number): Size {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const isBounded = (long / short) * shortest > longest;
  const raw = isBounded ? (longest * short) / long : shortest;
  const edge = isBounded ? Math.max(1, roundHalfEven(raw)) : shortest;
  if (short === edge) return { width, height };
  const isUpright = width < height;
  const other = Math.max(1, Math.trunc((raw * (isUpright ? height : width)) / (isUpright ? width : height)));
  return isUpright ? { width: edge, height: other } : { width: other, height: edge };
}

/** Python's `round`. */
function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}
