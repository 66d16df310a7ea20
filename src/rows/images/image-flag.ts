/** The text of `--image`: `resize=224,crop=224,scale=1/255,mean=0.485,0.456,0.406`, as settings. */
import { TandemError } from '../../errors.js';
import { nearestName } from '../../nearest-name.js';
import { RESAMPLES } from './filters.js';
import { COLORS, type ImageSettings, LAYOUTS, type Size } from './image-settings.js';

/** Pixels along an edge of what a model is given. */
const MOST_EDGE = 16_384;

/** A value of a setting: the texts after its `=`, or none for a name that stands alone. */
type Values = readonly string[];

const READERS: { readonly [K in keyof ImageSettings]-?: (values: Values, place: Place) => ImageSettings[K] } = {
  resize: (values, place) => {
    const text = one(values, place);
    return /^\d+$/.test(text) ? edge(text, place) : size(text, place);
  },
  shortest: (values, place) => edge(one(values, place), place),
  longest: (values, place) => edge(one(values, place), place),
  edges: (values, place) => {
    const [shortest, longest] = values.map((text) => edge(text, place));
    if (values.length !== 2 || shortest! > longest!)
      throw place.wrong('two lengths: the shortest edge, then the longest');
    return [shortest!, longest!];
  },
  pad: (values, place) => {
    const text = one(values, place);
    if (!/^\d+$/.test(text)) return size(text, place);
    const length = edge(text, place);
    return { width: length, height: length };
  },
  crop: (values, place) => {
    const text = one(values, place);
    if (text === 'none') return null;
    if (!/^\d+$/.test(text)) return size(text, place);
    const length = edge(text, place);
    return { width: length, height: length };
  },
  letterbox: (values, place) => {
    if (values.length === 0) return GREY;
    if (values[0] === 'none' && values.length === 1) return null;
    const value = Number(one(values, place));
    if (Number.isInteger(value) && value >= 0 && value <= 255) return value;
    throw place.wrong('a pixel value from 0 to 255');
  },
  resample: (values, place) => oneOf(RESAMPLES, values, place),
  layout: (values, place) => oneOf(LAYOUTS, values, place),
  color: (values, place) => oneOf(COLORS, values, place),
  scale: (values, place) => positive(one(values, place), place),
  mean: (values, place) => numbers(values, place, (text) => number(text, place)),
  std: (values, place) => numbers(values, place, (text) => positive(text, place)),
  maxPixels: (values, place) => {
    const text = one(values, place);
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= 2 ** 30) return value;
    throw place.wrong('a number of pixels up to 1073741824');
  },
};

/** Around a letterboxed image, as detectors are trained with. */
const GREY = 114;

const NAMES: ReadonlyMap<string, keyof ImageSettings> = new Map([
  ...Object.keys(READERS).map((key) => [key.toLowerCase(), key as keyof ImageSettings] as const),
  ['max-pixels', 'maxPixels'],
  ['colour', 'color'],
]);

/** The names as a person types them. */
const SHOWN = [...NAMES.keys()].filter((name) => name !== 'maxpixels' && name !== 'colour');

/** One setting of the text, for messages. */
class Place {
  readonly #text: string;
  readonly #where: string;

  constructor(text: string, where: string) {
    this.#text = text;
    this.#where = where;
  }

  wrong(expected: string): TandemError {
    return new TandemError('TANDEM_USAGE', `${this.#where}: "${this.#text}" is not ${expected}`, {
      remedy: 'for example: --image "resize=256,crop=224,scale=1/255,mean=0.485,0.456,0.406,std=0.229,0.224,0.225"',
    });
  }
}

/** Throws TANDEM_USAGE. `where` names the place of the text. */
export function parseImage(text: string, where: string): ImageSettings {
  const settings: Record<string, unknown> = {};
  for (const [name, values] of groupsOf(text, where)) {
    const key = NAMES.get(name.toLowerCase());
    if (key === undefined) throw unknown(name, where);
    if (key in settings)
      throw new TandemError('TANDEM_USAGE', `${where}: ${name} is given twice`, { remedy: 'give it once' });
    const shown = values.length === 0 ? name : `${name}=${values.join(',')}`;
    settings[key] = READERS[key](values, new Place(shown, where));
  }
  const sizes = ['resize', 'shortest', 'longest', 'edges'].filter((key) => key in settings);
  if (sizes.length > 1) throw both(sizes, where);
  const around = ['crop', 'letterbox', 'pad'].filter((key) => settings[key] !== undefined && settings[key] !== null);
  if (around.length > 1) throw both(around, where);
  return settings as ImageSettings;
}

/** By name, what stands after it: commas separate settings, and also the numbers of one. */
function groupsOf(text: string, where: string): [string, string[]][] {
  const groups: [string, string[]][] = [];
  for (const part of text.split(',').map((each) => each.trim())) {
    const at = part.indexOf('=');
    if (at > 0) groups.push([part.slice(0, at).trim(), [part.slice(at + 1).trim()]]);
    else if (groups.length > 0 && /^[-+.\d]/.test(part)) groups.at(-1)![1].push(part);
    else if (/^[a-z]/i.test(part)) groups.push([part, []]);
    else {
      throw new TandemError('TANDEM_USAGE', `${where}: "${part}" is no setting of an image`, {
        remedy: `write NAME=VALUE with commas between; the names are ${SHOWN.join(', ')}`,
      });
    }
  }
  return groups;
}

function one(values: Values, place: Place): string {
  if (values.length === 1 && values[0] !== '') return values[0]!;
  throw place.wrong('one value');
}

function oneOf<T extends string>(known: readonly T[], values: Values, place: Place): T {
  const text = one(values, place).toLowerCase();
  const found = known.find((each) => each === text);
  if (found !== undefined) return found;
  throw place.wrong(`one of ${known.join(', ')}`);
}

function edge(text: string, place: Place): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= MOST_EDGE) return value;
  throw place.wrong(`a length from 1 to ${MOST_EDGE} pixels`);
}

function size(text: string, place: Place): Size {
  const [width, height, more] = text.split('x');
  if (width === undefined || height === undefined || more !== undefined) throw place.wrong('N or WIDTHxHEIGHT');
  return { width: edge(width, place), height: edge(height, place) };
}

/** A number, or a fraction such as `1/255`. */
function number(text: string, place: Place): number {
  const [above, below = '1', more] = text.split('/');
  const value = Number(above) / Number(below);
  if (above !== '' && below !== '' && more === undefined && Number.isFinite(value)) return value;
  throw place.wrong('a number, or a fraction such as 1/255');
}

function positive(text: string, place: Place): number {
  const value = number(text, place);
  if (value > 0) return value;
  throw place.wrong('a number above 0, or a fraction such as 1/255');
}

function numbers(values: Values, place: Place, read: (text: string) => number): number[] {
  if (values.length === 1 || values.length === 3) return values.map(read);
  throw place.wrong('one number, or one for each of three channels');
}

function both(names: readonly string[], where: string): TandemError {
  return new TandemError('TANDEM_USAGE', `${where}: ${names.join(' and ')} exclude each other`, {
    remedy: 'give one of them',
  });
}

function unknown(name: string, where: string): TandemError {
  const nearest = nearestName(name, SHOWN);
  return new TandemError('TANDEM_USAGE', `${where}: there is no setting "${name}" of an image`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}the settings are ${SHOWN.join(', ')}`,
  });
}
