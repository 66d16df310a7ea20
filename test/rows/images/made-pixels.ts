/** Pixels by a rule that scripts/image-fixtures.py has too: noise, and a gradient on every other block of 16 bytes. */
import { createHash } from 'node:crypto';
import type { Pixels } from '../../../src/rows/images/resize.js';

export function madePixels(width: number, height: number, channels: number, seed = 1): Pixels {
  const data = new Uint8Array(width * height * channels);
  let state = seed;
  for (let n = 0; n < data.length; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[n] = (n >> 4) & 1 ? state >>> 24 : n & 255;
  }
  return { width, height, channels, data };
}

export function sha256({ data }: Pick<Pixels, 'data'>): string {
  return createHash('sha256').update(data).digest('hex');
}
