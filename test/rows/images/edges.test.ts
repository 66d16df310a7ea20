/** Sizes by both edges are those of transformers' `get_size_with_aspect_ratio`; an image in the corner of a larger size has zeros behind it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { sizeByEdges } from '../../../src/rows/images/edges.js';
import { parseImage } from '../../../src/rows/images/image-flag.js';
import { settingsFrom } from '../../../src/rows/images/image-settings.js';
import { ImageMaker } from '../../../src/rows/images/prepare-image.js';
import { readPreprocessorConfig } from '../../../src/rows/images/preprocessor-config.js';
import { recipeFor } from '../../../src/rows/images/recipe.js';
import { RowFault } from '../../../src/rows/row-fault.js';
import { tempFolder } from '../../fixtures/temp-folder.js';
import { madePixels } from './made-pixels.js';

/** [width, height, shortest, longest, width after, height after] of transformers 5. */
const SIZES = [
  [640, 480, 800, 1333, 1066, 800],
  [480, 640, 800, 1333, 800, 1066],
  [1920, 1080, 800, 1333, 1333, 750],
  [1080, 1920, 800, 1333, 750, 1333],
  [1333, 800, 800, 1333, 1333, 800],
  [800, 800, 800, 1333, 800, 800],
  [100, 1000, 800, 1333, 133, 1333],
  [1000, 33, 800, 1333, 1333, 44],
  [3, 2, 4, 5, 5, 3],
  [5, 4, 4, 5, 5, 4],
  [8, 4, 4, 6, 6, 3],
  [4, 4, 4, 6, 4, 4],
  [2571, 1066, 800, 1333, 1333, 553],
  [3058, 1488, 800, 1333, 1333, 649],
  [3277, 2848, 800, 1333, 920, 800],
  [3880, 3466, 800, 1333, 895, 800],
  [3050, 2690, 800, 1333, 907, 800],
  [3797, 2191, 800, 1333, 1333, 769],
  [138, 3462, 800, 1333, 53, 1333],
  [1927, 3198, 800, 1333, 800, 1327],
  [3883, 1040, 800, 1333, 1333, 357],
  [2678, 232, 800, 1333, 1333, 115],
  [3710, 662, 800, 1333, 1333, 238],
  [483, 1542, 800, 1333, 418, 1333],
  [1941, 3577, 800, 1333, 723, 1333],
  [1029, 1579, 800, 1333, 800, 1227],
  [2247, 437, 800, 1333, 1333, 259],
  [2370, 1041, 800, 1333, 1333, 586],
  [73, 3014, 800, 1333, 32, 1333],
  [907, 1691, 800, 1333, 715, 1333],
  [1164, 765, 800, 1333, 1217, 800],
  [3773, 3573, 800, 1333, 844, 800],
  [804, 418, 480, 640, 640, 333],
  [183, 800, 480, 640, 146, 640],
  [836, 93, 480, 640, 640, 71],
  [162, 652, 480, 640, 159, 640],
  [652, 475, 480, 640, 640, 466],
  [149, 155, 480, 640, 480, 499],
  [21, 25, 480, 640, 480, 571],
  [234, 812, 480, 640, 184, 640],
] as const;

for (const [width, height, shortest, longest, toWidth, toHeight] of SIZES) {
  test(`${width}x${height} by ${shortest} and ${longest}`, () => {
    assert.deepEqual(sizeByEdges({ width, height }, shortest, longest), { width: toWidth, height: toHeight });
  });
}

const recipe = (text: string, shape: readonly (number | null)[]) =>
  recipeFor({ name: 'x', dtype: 'float32', shape }, settingsFrom('--image', parseImage(text, '--image')));

test('the image is at the top left, and behind it are zeros after mean and std', () => {
  const made = recipe('edges=4,6,pad=6x5,scale=1,mean=1,std=2,layout=nhwc,color=grey', [null, null, 1]);
  assert.deepEqual(made.size, { width: 6, height: 5 });
  const pixels = { ...madePixels(4, 4, 1), channels: 1 };
  const values = new ImageMaker(made).make(pixels);
  for (let y = 0; y < 5; y++) {
    for (let x = 0; x < 6; x++) {
      const wanted = x < 4 && y < 4 ? Math.fround((pixels.data[y * 4 + x]! - 1) / 2) : 0;
      assert.equal(values[y * 6 + x], wanted, `${x}, ${y}`);
    }
  }
  const small = new ImageMaker(recipe('edges=4,6,pad=4,scale=1,layout=nhwc,color=grey', [null, null, 1]));
  assert.throws(
    () => small.make(madePixels(8, 4, 1)),
    (error) => error instanceof RowFault && /becomes 6x3, more than the 4x4/.test(error.message),
  );
});

test('a DETR processor: padded to pad_size or to the size of the input, else refused by name', async (t) => {
  const at = tempFolder(t);
  const found = async (more: object) => {
    const config = { size: { shortest_edge: 800, longest_edge: 1333 }, do_pad: true, do_rescale: true, ...more };
    writeFileSync(at('preprocessor_config.json'), JSON.stringify(config));
    return (await readPreprocessorConfig(at('')))!;
  };
  const padded = await found({ pad_size: { height: 1333, width: 1200 } });
  assert.deepEqual(padded.settings, { edges: [800, 1333], pad: { width: 1200, height: 1333 }, scale: 1 / 255 });
  const plain = await found({});
  const own = (shape: readonly (number | null)[]) => recipeFor({ name: 'x', dtype: 'float32', shape }, plain);
  assert.deepEqual(own([3, 1333, 1333]).size, { width: 1333, height: 1333 });
  assert.throws(() => own([3, null, null]), { code: 'TANDEM_USAGE', remedy: /--image pad=1333/ });
});
