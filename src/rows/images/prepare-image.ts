/** Turns a decoded image into the values of a model's input, as a recipe says: resized, cropped or boxed, scaled, laid out. */
import { allocate, type DType, type TypedArray } from '../../tensor.js';
import { miniFloatOf } from '../finite.js';
import { toWord } from '../half-float.js';
import { RowFault } from '../row-fault.js';
import { sizeByEdges } from './edges.js';
import type { Size } from './image-settings.js';
import { type Fit, type Recipe, shapeOf } from './recipe.js';
import { type Pixels, resize, type Window } from './resize.js';

/** Longest edge of an image after resizing, in pixels: a very thin image would become a very long one. */
const MOST_EDGE = 65_536;

/** Where the part of the image that is kept lies in the result, on one axis. */
interface Overlap {
  /** First pixel of the resized image that is kept. */
  readonly from: number;
  /** Where that pixel goes. */
  readonly to: number;
  readonly length: number;
}

export class ImageMaker {
  readonly #recipe: Recipe;
  /** For each channel of the result, the value of each pixel value. */
  readonly #tables: readonly TypedArray[];

  constructor(recipe: Recipe) {
    this.#recipe = recipe;
    this.#tables = recipe.mean.map((_, channel) => tableOf(recipe, channel));
  }

  /** The values of one row, in the recipe's layout. Throws RowFault for an image that cannot have the size. */
  make(pixels: Pixels): TypedArray {
    const { fit, resample, size, fill } = this.#recipe;
    const resized = sizeAfter(fit, pixels);
    if (fill === null && (resized.width !== size.width || resized.height !== size.height)) {
      throw new RowFault(
        'TANDEM_ROW_SHAPE',
        `the image is ${resized.width}x${resized.height}, and the model takes ${size.width}x${size.height}: add resize= to --image`,
      );
    }
    if (fill === 'zeros' && (resized.width > size.width || resized.height > size.height)) {
      throw new RowFault(
        'TANDEM_ROW_SHAPE',
        `the image becomes ${resized.width}x${resized.height}, more than the ${size.width}x${size.height} that it is padded to: give --image a larger pad=`,
      );
    }
    if (Math.max(resized.width, resized.height) > MOST_EDGE) {
      throw new RowFault(
        'TANDEM_ROW_SHAPE',
        `the image is ${pixels.width}x${pixels.height} and would become ${resized.width}x${resized.height}: too thin to be resized`,
      );
    }
    const isCorner = fill === 'zeros';
    const across = isCorner ? corner(resized.width) : overlap(resized.width, size.width);
    const down = isCorner ? corner(resized.height) : overlap(resized.height, size.height);
    // Only what is kept is computed.
    const window: Window = { left: across.from, top: down.from, width: across.length, height: down.length };
    return this.#values(resize(pixels, resized.width, resized.height, resample, window), across.to, down.to);
  }

  #values(part: Pixels, left: number, top: number): TypedArray {
    const { size, layout, dtype, color, fill } = this.#recipe;
    const { channels } = part;
    const values = allocate(dtype, shapeOf(this.#recipe)) as Float32Array;
    const plane = size.width * size.height;
    const isWhole = part.width === size.width && part.height === size.height;
    if (!isWhole && fill !== 'zeros') {
      for (let channel = 0; channel < channels; channel++) {
        const [first, step] = layout === 'nchw' ? [channel * plane, 1] : [channel, channels];
        for (let n = 0; n < plane; n++) values[first + n * step] = this.#tables[channel]![fill!]! as number;
      }
    }
    const order = Array.from({ length: channels }, (_, channel) =>
      color === 'bgr' ? channels - 1 - channel : channel,
    );
    const places = order.map((from, channel) => ({
      ...{ from, table: this.#tables[channel] as Float32Array },
      ...(layout === 'nchw' ? { first: channel * plane, step: 1 } : { first: channel, step: channels }),
    }));
    for (let y = 0; y < part.height; y++) {
      const at = (top + y) * size.width + left;
      if (places.length === 3) lineOfThree(values, part, y, at, places as unknown as Three);
      else for (const place of places) lineOfOne(values, part, y, at, place);
    }
    return values;
  }
}

/** Where a channel is read in a pixel, what its values become, and where they go. */
interface Place {
  readonly from: number;
  readonly table: Float32Array;
  readonly first: number;
  readonly step: number;
}

type Three = readonly [Place, Place, Place];

/** One line of a part, whose first pixel becomes the pixel `at`. */
function lineOfOne(into: Float32Array, { data, width, channels }: Pixels, y: number, at: number, place: Place): void {
  const { table, first, step } = place;
  let from = y * width * channels + place.from;
  for (let x = 0, to = first + at * step; x < width; x++, to += step, from += channels) into[to] = table[data[from]!]!;
}

/** All three channels at once: a pixel is read while it is in the cache. */
function lineOfThree(into: Float32Array, { data, width }: Pixels, y: number, at: number, [a, b, c]: Three): void {
  const { step } = a;
  const [tableA, tableB, tableC] = [a.table, b.table, c.table];
  const [fromA, fromB, fromC] = [a.from, b.from, c.from];
  let from = y * width * 3;
  let toA = a.first + at * step;
  let toB = b.first + at * step;
  let toC = c.first + at * step;
  for (let x = 0; x < width; x++, from += 3) {
    into[toA] = tableA[data[from + fromA]!]!;
    into[toB] = tableB[data[from + fromB]!]!;
    into[toC] = tableC[data[from + fromC]!]!;
    toA += step;
    toB += step;
    toC += step;
  }
}

/** In proportion, as transformers computes it: the other edge is cut to a whole number. */
function sizeAfter(fit: Fit, { width, height }: Pixels): Size {
  switch (fit.kind) {
    case 'none':
      return { width, height };
    case 'edges':
      return sizeByEdges({ width, height }, fit.shortest, fit.longest);
    case 'exact':
      return { width: fit.width, height: fit.height };
    case 'box': {
      const ratio = Math.min(fit.width / width, fit.height / height);
      return { width: boxed(width * ratio, fit.width), height: boxed(height * ratio, fit.height) };
    }
    default: {
      const isWidth = fit.kind === 'shortest' ? width <= height : width >= height;
      const other = Math.max(1, Math.trunc((fit.edge * (isWidth ? height : width)) / (isWidth ? width : height)));
      return isWidth ? { width: fit.edge, height: other } : { width: other, height: fit.edge };
    }
  }
}

function boxed(length: number, most: number): number {
  return Math.max(1, Math.min(most, Math.round(length)));
}

function corner(length: number): Overlap {
  return { from: 0, to: 0, length };
}

/** Both middles meet; of an odd rest the larger half is after the crop, and before the image in a box, as in transformers. */
function overlap(length: number, size: number): Overlap {
  const before = Math.floor((length - size) / 2);
  return before >= 0 ? { from: before, to: 0, length: size } : { from: 0, to: -before, length };
}

/** (pixel * scale - mean) / std in float32 after each step, as numpy computes it in transformers; the last step in the input's type. */
function tableOf({ dtype, scale, mean, std }: Recipe, channel: number): TypedArray {
  const table = allocate(dtype, [256]);
  for (let pixel = 0; pixel < 256; pixel++) {
    const scaled = Math.fround(pixel * scale);
    const centred = Math.fround(scaled - Math.fround(mean[channel]!));
    const value = Math.fround(centred / Math.fround(std[channel]!));
    setValue(table, pixel, value, dtype);
  }
  return table;
}

function setValue(table: TypedArray, at: number, value: number, dtype: DType): void {
  const half = miniFloatOf(dtype);
  if (table instanceof BigInt64Array || table instanceof BigUint64Array) table[at] = BigInt(value);
  else table[at] = half ? toWord(value, half) : value;
}
