/**
 * Resizes 8-bit pixels to the same bytes as `Image.resize` of Pillow 13: the filter's support is scaled by the ratio, weights are fixed-point
 * integers of 22 bits, and between the passes over columns and rows are 8-bit results.
 */
import { FILTERS, type Filter, type Resample } from './filters.js';

/** Interleaved 8-bit pixels, row-major: (height, width, channels). */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** A rectangle in pixels of the resized image. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Fraction bits of a weight: 32 bits, less 8 of a pixel and 2 of sums that overshoot. */
const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);

/** For each output position of one axis: the first input position, the number of them, and their weights, `most` apart. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly most: number;
}

/**
 * The image at `width` x `height`. With `window` only that part of the result is computed, and returned.
 * An axis that keeps its length is copied.
 */
export function resize(
  pixels: Pixels,
  width: number,
  height: number,
  resample: Resample,
  window: Window = { left: 0, top: 0, width, height },
): Pixels {
  if (width === pixels.width && height === pixels.height) return cut(pixels, window);
  if (resample === 'nearest') return nearest(pixels, width, height, window);
  const filter = FILTERS[resample];
  const columns = { from: window.left, to: window.left + window.width };
  const rows = { from: window.top, to: window.top + window.height };
  const across = width === pixels.width ? null : tapsOf(pixels.width, width, filter, columns);
  const down = height === pixels.height ? null : tapsOf(pixels.height, height, filter, rows);
  if (!across) return verticalPass(cut(pixels, { ...window, top: 0, height: pixels.height }), down!, 0);
  if (!down) return horizontalPass(pixels, across, rows);
  if (isVerticalFirst(pixels, width, height)) {
    return horizontalPass(verticalPass(pixels, down, 0), across, { from: 0, to: window.height });
  }
  const reach = reachOf(down);
  return verticalPass(horizontalPass(pixels, across, reach), down, reach.from);
}

/** Which pass comes first changes some pixels by one: Pillow's own rule since version 13, where it is faster; earlier ones begin with the columns. */
function isVerticalFirst(pixels: Pixels, width: number, height: number): boolean {
  return height < pixels.height && pixels.height - height > 2 * (pixels.width - width);
}

/** The part of an image inside a window. */
function cut({ width, height, channels, data }: Pixels, window: Window): Pixels {
  const { left, top } = window;
  if (left === 0 && top === 0 && window.width === width && window.height === height) {
    return { width, height, channels, data };
  }
  const line = window.width * channels;
  const part = new Uint8Array(line * window.height);
  for (let y = 0; y < window.height; y++) {
    const at = ((top + y) * width + left) * channels;
    part.set(data.subarray(at, at + line), y * line);
  }
  return { width: window.width, height: window.height, channels, data: part };
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** The taps of the output positions [from, to) of an axis of `size` positions that becomes `newSize`. */
function tapsOf(size: number, newSize: number, { support, weight }: Filter, { from, to }: Span): Taps {
  const scale = size / newSize;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const most = Math.ceil(reach) * 2 + 1;
  const taps = {
    first: new Int32Array(to - from),
    count: new Int32Array(to - from),
    weights: new Int32Array((to - from) * most),
    most,
  };
  const values = new Float64Array(most);
  for (let n = 0; n < to - from; n++) {
    const center = (from + n + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const count = Math.min(size, Math.trunc(center + reach + 0.5)) - first;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      // Multiplied, as Pillow does: a division would round some weights differently.
      values[k] = weight((k + first - center + 0.5) * (1 / stretch));
      sum += values[k]!;
    }
    taps.first[n] = first;
    taps.count[n] = count;
    for (let k = 0; k < count; k++) {
      const value = (sum === 0 ? values[k]! : values[k]! / sum) * 2 ** PRECISION_BITS;
      taps.weights[n * most + k] = Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
    }
  }
  return taps;
}

/** The input positions that are read at all. */
function reachOf({ first, count }: Taps): Span {
  const last = first.length - 1;
  return { from: first[0]!, to: first[last]! + count[last]! };
}

/** Of the rows `rows` of the image, every output column. */
function horizontalPass(pixels: Pixels, taps: Taps, rows: Span): Pixels {
  const width = taps.first.length;
  const height = rows.to - rows.from;
  const { channels } = pixels;
  const data = new Uint8ClampedArray(width * height * channels);
  if (channels === 3) columnsOfThree(pixels, taps, rows.from, height, data);
  else for (let c = 0; c < channels; c++) columnsOfOne(pixels, taps, rows.from, height, data, c);
  return { width, height, channels, data: bytes(data) };
}

/** Column by column, so that the weights of a column are read once. */
function columnsOfThree(pixels: Pixels, taps: Taps, top: number, height: number, into: Uint8ClampedArray): void {
  const { data, width } = pixels;
  const { first, count, weights, most } = taps;
  const columns = first.length;
  for (let y = 0; y < height; y++) {
    const line = (top + y) * width * 3;
    let at = y * columns * 3;
    for (let x = 0; x < columns; x++) {
      let from = line + first[x]! * 3;
      let a = HALF;
      let b = HALF;
      let c = HALF;
      const end = x * most + count[x]!;
      for (let k = x * most; k < end; k++) {
        const weight = weights[k]!;
        a = (a + Math.imul(data[from]!, weight)) | 0;
        b = (b + Math.imul(data[from + 1]!, weight)) | 0;
        c = (c + Math.imul(data[from + 2]!, weight)) | 0;
        from += 3;
      }
      into[at] = a >> PRECISION_BITS;
      into[at + 1] = b >> PRECISION_BITS;
      into[at + 2] = c >> PRECISION_BITS;
      at += 3;
    }
  }
}

function columnsOfOne(
  { data, width, channels }: Pixels,
  { first, count, weights, most }: Taps,
  top: number,
  height: number,
  into: Uint8ClampedArray,
  channel: number,
): void {
  const columns = first.length;
  for (let y = 0; y < height; y++) {
    const line = (top + y) * width;
    for (let x = 0; x < columns; x++) {
      let sum = HALF;
      for (let k = 0; k < count[x]!; k++) {
        const pixel = data[(line + first[x]! + k) * channels + channel]!;
        sum = (sum + Math.imul(pixel, weights[x * most + k]!)) | 0;
      }
      into[(y * columns + x) * channels + channel] = sum >> PRECISION_BITS;
    }
  }
}

/** Every output row of an image whose first row is the row `top` of the input. Its bytes lie together, so a line is summed at once, four taps in one pass. */
function verticalPass({ width, channels, data }: Pixels, { first, count, weights, most }: Taps, top: number): Pixels {
  const height = first.length;
  const line = width * channels;
  const result = new Uint8ClampedArray(line * height);
  const sums = new Int32Array(line);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    const from = (first[y]! - top) * line;
    const taps = weights.subarray(y * most, y * most + count[y]!);
    let k = 0;
    for (; k + 4 <= taps.length; k += 4) addFour(sums, data, from + k * line, taps, k);
    for (; k < taps.length; k++) addOne(sums, data, from + k * line, taps[k]!);
    const at = y * line;
    for (let n = 0; n < line; n++) result[at + n] = sums[n]! >> PRECISION_BITS;
  }
  return { width, height, channels, data: bytes(result) };
}

function addFour(sums: Int32Array, data: Uint8Array, from: number, taps: Int32Array, k: number): void {
  const line = sums.length;
  const [a, b, c, d] = [taps[k]!, taps[k + 1]!, taps[k + 2]!, taps[k + 3]!];
  for (let n = 0, p = from, q = p + line, r = q + line, s = r + line; n < line; n++, p++, q++, r++, s++) {
    const upper = Math.imul(data[p]!, a) + Math.imul(data[q]!, b);
    const lower = Math.imul(data[r]!, c) + Math.imul(data[s]!, d);
    sums[n] = (sums[n]! + ((upper + lower) | 0)) | 0;
  }
}

function addOne(sums: Int32Array, data: Uint8Array, from: number, weight: number): void {
  for (let n = 0; n < sums.length; n++) sums[n] = (sums[n]! + Math.imul(data[from + n]!, weight)) | 0;
}

/** The input pixel under the centre of each output pixel. */
function nearest(pixels: Pixels, width: number, height: number, window: Window): Pixels {
  const { channels, data } = pixels;
  const columns = centres(pixels.width, width);
  const rows = centres(pixels.height, height);
  const result = new Uint8Array(window.width * window.height * channels);
  let at = 0;
  for (let y = 0; y < window.height; y++) {
    const line = rows[window.top + y]! * pixels.width;
    for (let x = 0; x < window.width; x++) {
      const from = (line + columns[window.left + x]!) * channels;
      for (let c = 0; c < channels; c++) result[at++] = data[from + c]!;
    }
  }
  return { width: window.width, height: window.height, channels, data: result };
}

/** Added up step by step, as Pillow does: a product would round some positions differently. */
function centres(size: number, newSize: number): Int32Array {
  const step = size / newSize;
  const positions = new Int32Array(newSize);
  for (let n = 0, at = step * 0.5; n < newSize; n++, at += step) positions[n] = Math.min(size - 1, Math.trunc(at));
  return positions;
}

function bytes({ buffer }: Uint8ClampedArray): Uint8Array {
  return new Uint8Array(buffer);
}
