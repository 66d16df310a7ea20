/** A recipe: every step from a decoded image to a model's input, decided before the first image is read. */
import { TandemError } from '../../errors.js';
import type { DType, TensorSpec } from '../../tensor.js';
import { formatSpec } from '../../tensor.js';
import type { Resample } from './filters.js';
import type { Color, FoundSettings, ImageLayout, ImageSettings, Size } from './image-settings.js';

/** How an image gets its size: an exact size; one edge with the other in proportion; as large as a box allows; or as it is. */
export type Fit =
  | { readonly kind: 'exact' | 'box'; readonly width: number; readonly height: number }
  | { readonly kind: 'shortest' | 'longest'; readonly edge: number }
  | { readonly kind: 'edges'; readonly shortest: number; readonly longest: number }
  | { readonly kind: 'none' };

/** Plain data: it crosses to the workers that decode. */
export interface Recipe {
  readonly fit: Fit;
  readonly resample: Resample;
  /** The size that every image has in the end. */
  readonly size: Size;
  /**
   * What fills the size around a smaller image: from 0 to 255, with the image in the middle; `zeros` after mean and std, with the image at the top
   * left; `null`: the image must have the size by then.
   */
  readonly fill: number | 'zeros' | null;
  readonly color: Color;
  readonly layout: ImageLayout;
  readonly dtype: DType;
  readonly scale: number;
  /** One for each channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly maxPixels: number;
}

/** Pillow warns of images above this size. Decoded to RGB such an image takes 256 MiB. */
const MAX_PIXELS = 89_478_485;

/**
 * The recipe for the model input `input`, whose shape is that of one row. Throws TANDEM_USAGE for settings that are missing or do not fit
 * the input, TANDEM_MODEL_UNSUPPORTED for an input that takes no image.
 */
export function recipeFor(input: TensorSpec, { settings }: FoundSettings): Recipe {
  const { layout, channels, width, height } = axesOf(input, settings.layout);
  const color = settings.color ?? (channels === 1 ? 'grey' : 'rgb');
  const used = color === 'grey' ? 1 : 3;
  if (channels !== null && channels !== used) {
    throw usage(
      `the input ${shown(input)} has ${channels} channels, and color=${color} gives ${used}`,
      'give another color= or layout=',
    );
  }
  const fit = fitOf(settings, { width, height });
  const size = sizeOf(settings, fit, { width, height }, input);
  const isPadded = fit.kind === 'edges' || settings.pad !== undefined;
  const fill = settings.crop ? 0 : (settings.letterbox ?? (isPadded ? 'zeros' : null));
  const { scale, mean, std } = valuesOf(input, settings, used);
  const { resample = 'bilinear', maxPixels = MAX_PIXELS } = settings;
  return { fit, resample, size, fill, color, layout, dtype: input.dtype, scale, mean, std, maxPixels };
}

/** The shape of one row under `recipe`. */
export function shapeOf({ color, layout, size: { width, height } }: Recipe): [number, number, number] {
  const channels = color === 'grey' ? 1 : 3;
  return layout === 'nchw' ? [channels, height, width] : [height, width, channels];
}

interface Axes {
  readonly layout: ImageLayout;
  /** `null` where the rows decide. */
  readonly channels: number | null;
  readonly width: number | null;
  readonly height: number | null;
}

function axesOf(input: TensorSpec, asked: ImageLayout | undefined): Axes {
  if (input.openRank && asked) return { layout: asked, channels: null, width: null, height: null };
  if (input.shape.length !== 3) {
    throw new TandemError(
      'TANDEM_MODEL_UNSUPPORTED',
      `the input ${shown(input)} takes no image: one row has ${input.shape.length} axes`,
      {
        remedy: 'an image has three axes besides the rows: channels, height and width in either order',
      },
    );
  }
  const [a, b, c] = input.shape as [number | null, number | null, number | null];
  const isChannels = (dim: number | null) => dim === 1 || dim === 3;
  const layout = asked ?? (isChannels(a) === isChannels(c) ? null : isChannels(a) ? 'nchw' : 'nhwc');
  if (layout === null) {
    throw usage(
      `the shape of the input ${shown(input)} does not show where its channels are`,
      'add layout=nchw or layout=nhwc to --image',
    );
  }
  return layout === 'nchw'
    ? { layout, channels: a, height: b, width: c }
    : { layout, height: a, width: b, channels: c };
}

interface OpenSize {
  readonly width: number | null;
  readonly height: number | null;
}

function fitOf({ resize, shortest, longest, edges, crop, letterbox }: ImageSettings, own: OpenSize): Fit {
  if (edges !== undefined) return { kind: 'edges', shortest: edges[0], longest: edges[1] };
  if (shortest !== undefined) return { kind: 'shortest', edge: shortest };
  const isBoxed = typeof letterbox === 'number';
  if (longest !== undefined)
    return isBoxed ? { kind: 'box', width: longest, height: longest } : { kind: 'longest', edge: longest };
  if (resize === undefined) {
    if (!isBoxed || own.width === null || own.height === null) return { kind: 'none' };
    return { kind: 'box', width: own.width, height: own.height };
  }
  const size = typeof resize === 'number' ? { width: resize, height: resize } : resize;
  if (isBoxed) return { kind: 'box', ...size };
  if (crop && typeof resize === 'number') return { kind: 'shortest', edge: resize };
  return { kind: 'exact', ...size };
}

function sizeOf({ crop, pad }: ImageSettings, fit: Fit, own: OpenSize, input: TensorSpec): Size {
  const size = crop ?? pad ?? ('width' in fit ? { width: fit.width, height: fit.height } : closed(own));
  if (size === null && fit.kind === 'edges') throw noPad(fit.longest);
  if (size === null || ('edge' in fit && !crop && !pad)) {
    throw usage(
      'images would differ in size, and all rows must have one',
      'add crop=N or letterbox to --image, or give an exact size: resize=WIDTHxHEIGHT',
    );
  }
  const { width, height } = size;
  if ((own.width ?? width) !== width || (own.height ?? height) !== height) {
    throw usage(
      `images would be ${width}x${height} (width x height), and the input ${shown(input)} takes ${own.width ?? '?'}x${own.height ?? '?'}`,
      'change resize=, crop= or letterbox in --image, or the layout= if it is another',
    );
  }
  return size;
}

function noPad(longest: number): TandemError {
  return usage(
    'images would differ in size (both edges are bounded), and all rows must have one',
    `add the size that they are padded to, with zeros at the right and below: --image pad=${longest}; the model should take a pixel_mask then`,
  );
}

function closed({ width, height }: OpenSize): Size | null {
  return width === null || height === null ? null : { width, height };
}

const FLOATS: ReadonlySet<DType> = new Set(['float32', 'float64', 'float16', 'bfloat16']);

function valuesOf(input: TensorSpec, { scale, mean, std }: ImageSettings, channels: number) {
  if (!FLOATS.has(input.dtype)) {
    if (input.dtype === 'bool' || input.dtype === 'int8') {
      throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the input ${shown(input)} cannot hold pixels from 0 to 255`);
    }
    if ((scale ?? 1) !== 1 || mean || std) {
      throw usage(
        `the input ${shown(input)} takes whole numbers, so scale=, mean= and std= cannot apply`,
        'leave them out of --image',
      );
    }
  } else if (scale === undefined) {
    throw usage(
      `nothing says what the pixels, from 0 to 255, become in the input ${shown(input)}`,
      'add scale=1/255 (or scale=1 for values up to 255) to --image, and mean= and std= if the model was trained with them',
    );
  }
  const each = (name: string, values: readonly number[]) => {
    if (values.length === channels) return values;
    if (values.length === 1) return Array.from({ length: channels }, () => values[0]!);
    throw usage(`${name} has ${values.length} values, and images have ${channels} channel`, `give ${name} one value`);
  };
  return { scale: scale ?? 1, mean: each('mean', mean ?? [0]), std: each('std', std ?? [1]) };
}

function shown(input: TensorSpec): string {
  return `"${input.name}" ${formatSpec(input)}`;
}

function usage(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_USAGE', message, { remedy });
}
