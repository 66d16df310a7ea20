/** Rows made of images are those of transformers' image processors, bit for bit; fixtures by scripts/image-fixtures.py. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { decode } from '../../../src/rows/images/decode.js';
import { parseImage } from '../../../src/rows/images/image-flag.js';
import { settingsFrom } from '../../../src/rows/images/image-settings.js';
import { ImageMaker } from '../../../src/rows/images/prepare-image.js';
import { recipeFor, shapeOf } from '../../../src/rows/images/recipe.js';
import { loadSharp } from '../../../src/rows/images/sharp.js';
import { RowFault } from '../../../src/rows/row-fault.js';
import { bytesOf, type DType } from '../../../src/tensor.js';
import { madePixels } from './made-pixels.js';

interface RowCase {
  readonly file: string;
  readonly image: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly sha256: string;
}

const folder = resolve(import.meta.dirname, '../../../../test/fixtures/images');
const { rows } = JSON.parse(readFileSync(join(folder, 'pillow.json'), 'utf8')) as { rows: readonly RowCase[] };
const sharp = await loadSharp();

const recipeOf = (text: string, shape: readonly (number | null)[], dtype: DType = 'float32') =>
  recipeFor({ name: 'x', dtype, shape }, settingsFrom('--image', parseImage(text, '--image')));

for (const { file, image, dtype, shape, sha256 } of rows) {
  test(`${file} with ${image}`, async () => {
    const recipe = recipeOf(image, shape, dtype);
    assert.deepEqual(shapeOf(recipe), shape);
    const pixels = await decode(sharp, readFileSync(join(folder, file)), {
      grey: recipe.color === 'grey',
      maxPixels: recipe.maxPixels,
    });
    const values = new ImageMaker(recipe).make(pixels);
    assert.equal(createHash('sha256').update(bytesOf(values)).digest('hex'), sha256);
  });
}

test('without resize an image of another size is a failed row', () => {
  const maker = new ImageMaker(recipeOf('scale=1', [3, 4, 5]));
  maker.make(madePixels(5, 4, 3));
  assert.throws(
    () => maker.make(madePixels(4, 5, 3)),
    (error) => error instanceof RowFault && error.code === 'TANDEM_ROW_SHAPE' && /4x5.*takes 5x4/.test(error.message),
  );
});

test('an image that would become too long is a failed row', () => {
  const maker = new ImageMaker(recipeOf('resize=224,crop=224,scale=1', [3, 224, 224]));
  assert.throws(() => maker.make(madePixels(1, 300, 3)), /too thin/);
  maker.make(madePixels(1, 200, 3));
});

test('every float type of a model is filled in its own rounding', () => {
  const values = new ImageMaker(recipeOf('scale=1/255', [1, 1, 2], 'float16')).make({
    ...{ width: 2, height: 1, channels: 1 },
    data: Uint8Array.of(0, 255),
  });
  assert.deepEqual([...values], [0, 0x3c00]);
});
