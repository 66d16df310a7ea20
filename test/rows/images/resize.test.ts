/** Resized pixels are Pillow's, byte for byte; fixtures by scripts/image-fixtures.py. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { RESAMPLES, type Resample } from '../../../src/rows/images/filters.js';
import { type Pixels, resize, type Window } from '../../../src/rows/images/resize.js';
import { madePixels, sha256 } from './made-pixels.js';

interface ResizeCase {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly channels: number;
  readonly resample: Resample;
  readonly sha256: string;
}

const root = resolve(import.meta.dirname, '../../../..');
const { resize: cases } = JSON.parse(readFileSync(join(root, 'test/fixtures/images/pillow.json'), 'utf8')) as {
  resize: readonly ResizeCase[];
};

for (const resample of RESAMPLES) {
  test(`${resample}: fourteen sizes, in colour and grey, are Pillow's bytes`, () => {
    const own = cases.filter((each) => each.resample === resample);
    assert.equal(own.length, 28);
    for (const { from, to, channels, sha256: expected } of own) {
      const made = resize(madePixels(...from, channels), ...to, resample);
      assert.deepEqual([made.width, made.height, made.channels], [...to, channels]);
      assert.equal(sha256(made), expected, `${from} to ${to}, ${channels} channels`);
    }
  });
}

/** Pixel by pixel. */
function partOf({ width, channels, data }: Pixels, { left, top, ...size }: Window): Pixels {
  const part = Uint8Array.from({ length: size.width * size.height * channels }, (_, n) => {
    const pixel = Math.floor(n / channels);
    const [x, y] = [left + (pixel % size.width), top + Math.floor(pixel / size.width)];
    return data[(y * width + x) * channels + (n % channels)]!;
  });
  return { ...size, channels, data: part };
}

test('a window of the result has the bytes of that part of the whole result', () => {
  const edge = fc.integer({ min: 1, max: 40 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      fc.tuple(edge, edge, edge, edge),
      fc.tuple(share, share, share, share),
      fc.constantFrom(...RESAMPLES),
      fc.constantFrom(1, 3),
      ([width, height, toWidth, toHeight], [a, b, c, d], resample, channels) => {
        const pixels = madePixels(width, height, channels);
        const left = Math.floor(a * (toWidth - 1));
        const top = Math.floor(b * (toHeight - 1));
        const window = {
          left,
          top,
          width: 1 + Math.floor(c * (toWidth - left - 1)),
          height: 1 + Math.floor(d * (toHeight - top - 1)),
        };
        const part = resize(pixels, toWidth, toHeight, resample, window);
        assert.deepEqual(part, partOf(resize(pixels, toWidth, toHeight, resample), window));
      },
    ),
  );
});
