/** The settings by which an image becomes a tensor, as `--image` and a preprocessor_config.json give them. */
import type { Resample } from './filters.js';

export const COLORS = ['rgb', 'bgr', 'grey'] as const;
export type Color = (typeof COLORS)[number];

export const LAYOUTS = ['nchw', 'nhwc'] as const;
export type ImageLayout = (typeof LAYOUTS)[number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is absent is not decided here. */
export interface ImageSettings {
  /** A number is the shortest edge if there is a crop, the box of a letterbox, else a square. A size is exact. */
  readonly resize?: number | Size;
  /** The shortest edge becomes this long, and the other in proportion. */
  readonly shortest?: number;
  /** The longest edge becomes this long, and the other in proportion. */
  readonly longest?: number;
  /** The shortest edge becomes the first length, unless the longest would pass the second; the other in proportion. */
  readonly edges?: readonly [shortest: number, longest: number];
  /** The image is put into the corner at the top left of this size, with values of 0 behind it, after mean and std. */
  readonly pad?: Size;
  /** The middle of the image, with zeros around an image that is smaller; `null`: no crop. */
  readonly crop?: Size | null;
  /** The image keeps its proportions and is centred in a box of this value, from 0 to 255; `null`: no letterbox. */
  readonly letterbox?: number | null;
  readonly resample?: Resample;
  readonly layout?: ImageLayout;
  readonly color?: Color;
  /** Each value, from 0 to 255, is multiplied by this first. */
  readonly scale?: number;
  /** Subtracted from the product, one for all channels or one for each; in the order of the channels. */
  readonly mean?: readonly number[];
  /** The difference is divided by this; as `mean`. */
  readonly std?: readonly number[];
  /** An image with more pixels is a failed row. */
  readonly maxPixels?: number;
}

/** Settings that decide the same thing: one of them from a stronger place replaces those from weaker places. */
const ALTERNATIVES: readonly (readonly (keyof ImageSettings)[])[] = [
  ['resize', 'shortest', 'longest', 'edges'],
  ['crop', 'letterbox', 'pad'],
];

/** Where a setting was read, for a person. */
export type Origins = ReadonlyMap<keyof ImageSettings, string>;

export interface FoundSettings {
  readonly settings: ImageSettings;
  readonly origins: Origins;
}

/** Settings that all come from one place. */
export function settingsFrom(origin: string, settings: ImageSettings): FoundSettings {
  return { settings, origins: new Map(keysOf(settings).map((key) => [key, origin])) };
}

/** `strong` wins, setting by setting. */
export function mergeSettings(strong: FoundSettings, weak: FoundSettings): FoundSettings {
  const replaced = new Set<keyof ImageSettings>();
  for (const same of ALTERNATIVES) {
    if (same.some((key) => key in strong.settings)) for (const key of same) replaced.add(key);
  }
  const kept = keysOf(weak.settings).filter((key) => !replaced.has(key) && !(key in strong.settings));
  return {
    settings: { ...Object.fromEntries(kept.map((key) => [key, weak.settings[key]])), ...strong.settings },
    origins: new Map([...kept.map((key) => [key, weak.origins.get(key)!] as const), ...strong.origins]),
  };
}

export function keysOf(settings: ImageSettings): (keyof ImageSettings)[] {
  return Object.keys(settings) as (keyof ImageSettings)[];
}
