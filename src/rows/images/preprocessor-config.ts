/** The image settings in a model's preprocessor_config.json, as transformers writes them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TandemError } from '../../errors.js';
import { RESAMPLES, type Resample } from './filters.js';
import { type FoundSettings, type ImageSettings, type Size, settingsFrom } from './image-settings.js';

export const PREPROCESSOR_CONFIG = 'preprocessor_config.json';

type Config = Readonly<Record<string, unknown>>;

/** The numbers that Pillow gives its filters. */
const RESAMPLE_OF: Readonly<Record<number, Resample>> = {
  0: 'nearest',
  1: 'lanczos',
  2: 'bilinear',
  3: 'bicubic',
  4: 'box',
  5: 'hamming',
};

/** Switches that change no pixel of what a classifier or detector is given here. */
const HARMLESS = new Set(['do_convert_rgb', 'do_reduce_labels', 'do_convert_annotations', 'do_pad']);
/** Switches that are read below. */
const READ = new Set(['do_resize', 'do_center_crop', 'do_rescale', 'do_normalize', 'do_flip_channel_order']);

/** Those in `folder`, or `null` without such a file. Throws TANDEM_MODEL_INVALID for a damaged one, TANDEM_MODEL_UNSUPPORTED for steps that tandem does not take. */
export async function readPreprocessorConfig(folder: string): Promise<FoundSettings | null> {
  const path = join(folder, PREPROCESSOR_CONFIG);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw invalid(path, (cause as Error).message);
  }
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, (cause as Error).message);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw invalid(path, 'it is no object');
  return settingsFrom(PREPROCESSOR_CONFIG, settingsOf(config as Config, path));
}

/** Of the parsed file; `path` is for messages. */
function settingsOf(config: Config, path: string): ImageSettings {
  refuseOtherSteps(config, path);
  const settings: { -readonly [K in keyof ImageSettings]: ImageSettings[K] } = {};
  const crops = config.do_center_crop === true;
  if (config.do_resize !== false && config.size !== undefined) Object.assign(settings, resizeOf(config, path));
  if (crops) settings.crop = squareOf(config.crop_size ?? config.size, 'crop_size', path);
  const resample = resampleOf(config, path);
  if (resample) settings.resample = resample;
  if (config.do_flip_channel_order === true) settings.color = 'bgr';
  settings.scale = config.do_rescale === false ? 1 : numberOf(config.rescale_factor ?? 1 / 255, 'rescale_factor', path);
  if (config.do_normalize === true || (config.do_normalize === undefined && config.image_mean !== undefined)) {
    settings.mean = numbersOf(config.image_mean, 'image_mean', path);
    settings.std = numbersOf(config.image_std, 'image_std', path);
  }
  return withOffset(withCropShare(settings, config, path), config);
}

/** EfficientNet's: one is subtracted between the scale and the mean. */
function withOffset(settings: ImageSettings, { rescale_offset }: Config): ImageSettings {
  if (rescale_offset !== true) return settings;
  return { ...settings, mean: (settings.mean ?? [0]).map((value) => value + 1), std: settings.std ?? [1] };
}

/** ConvNeXt's `crop_pct`: a small image is resized to more than its edge and cropped; one of 384 pixels or more is not. */
function withCropShare(settings: ImageSettings, { crop_pct, size }: Config, path: string): ImageSettings {
  if (crop_pct === undefined || crop_pct === null || !isObject(size) || size.shortest_edge === undefined)
    return settings;
  const edge = lengthOf(size.shortest_edge, 'size.shortest_edge', path);
  const { shortest: _, ...rest } = settings;
  const square = { width: edge, height: edge };
  if (edge >= 384) return { ...rest, resize: square };
  return { ...rest, shortest: Math.trunc(edge / numberOf(crop_pct, 'crop_pct', path)), crop: square };
}

function refuseOtherSteps(config: Config, path: string): void {
  for (const [key, value] of Object.entries(config)) {
    const isOther = (/^do_/.test(key) && !READ.has(key) && !HARMLESS.has(key)) || key === 'include_top';
    if (isOther && value === true) throw unsupported(`${path} asks for "${key}", a step that tandem does not take`);
  }
}

function resizeOf(config: Config, path: string): ImageSettings {
  const { size } = config;
  if (typeof size === 'number') {
    const edge = lengthOf(size, 'size', path);
    // Before sizes were objects, processors that crop took the shortest edge; DeiT's alone did not.
    const isDeit = /deit/i.test(String(config.image_processor_type ?? config.feature_extractor_type ?? ''));
    return config.do_center_crop === true && !isDeit ? { shortest: edge } : { resize: { width: edge, height: edge } };
  }
  if (Array.isArray(size) && size.length === 2) {
    const [width, height] = size.map((each) => lengthOf(each, 'size', path)) as [number, number];
    return { resize: { width, height } };
  }
  if (!isObject(size)) throw invalid(path, `"size" is ${JSON.stringify(size)}`);
  const { shortest_edge, longest_edge, width, height } = size;
  if (width !== undefined && height !== undefined) return { resize: squareOf(size, 'size', path) };
  if (shortest_edge !== undefined && longest_edge !== undefined) {
    const edges = [
      lengthOf(shortest_edge, 'size.shortest_edge', path),
      lengthOf(longest_edge, 'size.longest_edge', path),
    ] as const;
    return { edges, ...padOf(config, path) };
  }
  if (shortest_edge !== undefined) return { shortest: lengthOf(shortest_edge, 'size.shortest_edge', path) };
  if (longest_edge !== undefined) return { longest: lengthOf(longest_edge, 'size.longest_edge', path) };
  throw unsupported(`${path} has a "size" with ${Object.keys(size).join(', ')}, which tandem does not know`);
}

/** Without `pad_size` transformers pads to the largest image of a batch; here the input's own size, or --image, says how far. */
function padOf({ pad_size }: Config, path: string): ImageSettings {
  if (!isObject(pad_size)) return {};
  return {
    pad: {
      width: lengthOf(pad_size.width, 'pad_size.width', path),
      height: lengthOf(pad_size.height, 'pad_size.height', path),
    },
  };
}

function squareOf(size: unknown, name: string, path: string): Size {
  if (typeof size === 'number') {
    const edge = lengthOf(size, name, path);
    return { width: edge, height: edge };
  }
  if (isObject(size) && size.shortest_edge !== undefined) return squareOf(size.shortest_edge, name, path);
  if (!isObject(size)) throw invalid(path, `"${name}" is ${JSON.stringify(size)}`);
  return { width: lengthOf(size.width, `${name}.width`, path), height: lengthOf(size.height, `${name}.height`, path) };
}

function resampleOf({ resample }: Config, path: string): Resample | undefined {
  if (resample === undefined || resample === null) return undefined;
  const found = typeof resample === 'number' ? RESAMPLE_OF[resample] : RESAMPLES.find((name) => name === resample);
  if (found) return found;
  throw invalid(path, `"resample" is ${JSON.stringify(resample)}, and Pillow's filters are 0 to 5`);
}

function lengthOf(value: unknown, name: string, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 16_384) return value;
  throw invalid(path, `"${name}" is ${JSON.stringify(value)}, not a length in pixels`);
}

function numberOf(value: unknown, name: string, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw invalid(path, `"${name}" is ${JSON.stringify(value)}, not a number above 0`);
}

function numbersOf(value: unknown, name: string, path: string): number[] {
  const values = typeof value === 'number' ? [value] : value;
  const isGood = Array.isArray(values) && (values.length === 1 || values.length === 3);
  if (isGood && values.every((each) => typeof each === 'number' && Number.isFinite(each))) return values;
  throw invalid(path, `"${name}" is ${JSON.stringify(value)}, not one number or three`);
}

function isObject(value: unknown): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(path: string, why: string): TandemError {
  return new TandemError('TANDEM_MODEL_INVALID', `${path} cannot be used: ${why}`, {
    remedy: 'correct the file, or move it away and give --image',
  });
}

function unsupported(message: string, remedy = 'say with --image what to do, and move the file away'): TandemError {
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', message, { remedy });
}
