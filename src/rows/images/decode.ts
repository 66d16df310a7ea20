/** Decodes an image file to 8-bit pixels, the same bytes as Pillow's `convert("RGB")` after `exif_transpose`. */
import { Buffer } from 'node:buffer';
import type { Metadata } from 'sharp';
import { RowFault } from '../row-fault.js';
import type { Pixels } from './resize.js';
import type { Sharp } from './sharp.js';

export interface DecodeOptions {
  readonly grey: boolean;
  readonly maxPixels: number;
}

/** Colour spaces in which libvips and Pillow agree. */
const SPACES: ReadonlySet<string> = new Set(['srgb', 'b-w', 'rgb']);

/** Kinds that are recognised only to be named: by the beginning of the file, as Latin-1. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^BM/, 'a BMP image, which sharp does not read'],
  [/^%PDF/, 'a PDF'],
  [/^....ftyp(heic|heix|mif1|msf1)/s, 'a HEIC image, which sharp does not read'],
  [/^8BPS/, 'a Photoshop file'],
  [/^\s*(<\?xml|<svg|<!DOCTYPE)/i, 'not an image but text with markup (SVG, HTML)'],
];

/** Throws RowFault for bytes that are no image, or one that is damaged, too large, or decoded differently by Pillow. */
export async function decode(sharp: Sharp, bytes: Uint8Array, { grey, maxPixels }: DecodeOptions): Promise<Pixels> {
  refuseOthers(bytes);
  // Warnings are no errors: Pillow reads such files too. A profile is ignored, as Pillow does.
  const options = { failOn: 'error', limitInputPixels: maxPixels, ignoreIcc: true, sequentialRead: true } as const;
  try {
    checkMetadata(await sharp(bytes, { ...options, limitInputPixels: false }).metadata(), maxPixels);
    const image = sharp(bytes, options).autoOrient().removeAlpha();
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const pixels = { width: info.width, height: info.height, channels: info.channels, data };
    if (grey) return info.channels === 1 ? pixels : greyOf(pixels);
    return info.channels === 1 ? threeOf(pixels) : pixels;
  } catch (error) {
    if (error instanceof RowFault) throw error;
    throw new RowFault('TANDEM_ROW_INVALID', `the image cannot be decoded: ${reasonOf(error)}`);
  }
}

function refuseOthers(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new RowFault('TANDEM_ROW_INVALID', 'the file is empty');
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 64)).toString('latin1');
  const other = OTHERS.find(([pattern]) => pattern.test(head));
  if (other) throw invalid(`it is ${other[1]}`);
}

function checkMetadata({ width, height, space, depth }: Metadata, maxPixels: number): void {
  if (width * height > maxPixels) {
    throw new RowFault(
      'TANDEM_ROW_INVALID',
      `the image has ${width} x ${height} pixels, more than ${maxPixels}: if it is meant to, add max-pixels=${width * height} to --image`,
    );
  }
  if (space === 'cmyk') throw invalid('it is a CMYK image, which Pillow decodes to other colours');
  if (depth !== 'uchar') throw invalid(`it has ${depth} values, not 8 bits, which Pillow reduces in another way`);
  if (!SPACES.has(space)) throw invalid(`its colour space is ${space}`);
}

function invalid(what: string): RowFault {
  return new RowFault(
    'TANDEM_ROW_INVALID',
    `${what}: convert it first, for example python3 -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).convert("RGB").save(sys.argv[2])' IN OUT.png`,
  );
}

/** The first line of what libvips reports. */
function reasonOf(error: unknown): string {
  const [line = ''] = (error as Error).message.split('\n');
  return line.replace(/^Input buffer has corrupt header: ?/, 'its header is damaged: ').replace(/: $/, '');
}

/** Pillow's `convert("L")` of RGB: ITU-R 601-2 luma in 16-bit fixed point. */
function greyOf({ width, height, channels, data }: Pixels): Pixels {
  const grey = new Uint8Array(width * height);
  for (let n = 0, at = 0; n < grey.length; n++, at += channels) {
    grey[n] = (data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: grey };
}

function threeOf({ width, height, data }: Pixels): Pixels {
  const three = new Uint8Array(width * height * 3);
  for (let n = 0, at = 0; n < data.length; n++, at += 3) three.fill(data[n]!, at, at + 3);
  return { width, height, channels: 3, data: three };
}
