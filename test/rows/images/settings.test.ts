/** What --image and a preprocessor_config.json say, and what is refused of them by name. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { TandemError } from '../../../src/errors.js';
import { parseImage } from '../../../src/rows/images/image-flag.js';
import { type ImageSettings, mergeSettings, settingsFrom } from '../../../src/rows/images/image-settings.js';
import { PREPROCESSOR_CONFIG, readPreprocessorConfig } from '../../../src/rows/images/preprocessor-config.js';
import { recipeFor } from '../../../src/rows/images/recipe.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const parse = (text: string) => parseImage(text, '--image');

/** Reads settings from a folder with this file. */
function processors(t: TestContext): (config: Record<string, unknown>) => Promise<ImageSettings> {
  const at = tempFolder(t);
  return async (config) => {
    writeFileSync(at(PREPROCESSOR_CONFIG), JSON.stringify(config));
    return (await readPreprocessorConfig(at('.')))!.settings;
  };
}

const refused = (run: () => unknown, code: string, says: RegExp) =>
  assert.throws(run, (error: TandemError) => {
    assert.equal(error.code, code);
    assert.match(`${error.message}\n${error.remedy}`, says);
    return true;
  });

test('the text of --image', () => {
  assert.deepEqual(parse('resize=256, crop=224, scale=1/255, mean=0.485,0.456,0.406, std=0.5'), {
    resize: 256,
    crop: { width: 224, height: 224 },
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.5],
  });
  assert.deepEqual(parse('resize=640x480,letterbox,layout=NHWC,colour=bgr,resample=lanczos,max-pixels=9'), {
    ...{ resize: { width: 640, height: 480 }, letterbox: 114, layout: 'nhwc', color: 'bgr', resample: 'lanczos' },
    maxPixels: 9,
  });
  assert.deepEqual(parse('letterbox=0,crop=none'), { letterbox: 0, crop: null });
});

test('what is wrong in it is named', () => {
  for (const [text, says] of [
    ['resise=224', /no setting "resise".*\n.*did you mean resize/],
    ['resize=0', /"resize=0" is not a length/],
    ['resize=2x3x4', /not N or WIDTHxHEIGHT/],
    ['resize=224,resize=3', /resize is given twice/],
    ['resize=2,shortest=3', /resize and shortest exclude each other/],
    ['edges=800', /not two lengths/],
    ['edges=9,3', /not two lengths/],
    ['crop=2,letterbox', /crop and letterbox exclude each other/],
    ['mean=1,2', /"mean=1,2" is not one number, or one for each/],
    ['std=0', /not a number above 0/],
    ['scale=1/0', /not a number/],
    ['layout=chw', /not one of nchw, nhwc/],
    ['letterbox=300', /a pixel value/],
    ['224', /no setting of an image/],
    ['', /no setting of an image/],
    ['resize', /"resize" is not one value/],
  ] as const) {
    refused(() => parse(text), 'TANDEM_USAGE', says);
  }
});

test('processors of transformers', async (t) => {
  const of = processors(t);
  const normal = { do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
  const vit = { ...normal, do_resize: true, size: { height: 224, width: 224 }, resample: 2, do_rescale: true };
  assert.deepEqual(await of({ ...vit, rescale_factor: 0.00392156862745098 }), {
    ...{ resize: { width: 224, height: 224 }, resample: 'bilinear', scale: 1 / 255 },
    ...{ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  const clip = { ...normal, size: { shortest_edge: 224 }, do_center_crop: true, crop_size: 224, resample: 3 };
  assert.deepEqual(await of({ ...clip, do_convert_rgb: true }), {
    ...{ shortest: 224, crop: { width: 224, height: 224 }, resample: 'bicubic', scale: 1 / 255 },
    ...{ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  assert.deepEqual((await of({ ...clip, size: 256 })).shortest, 256);
  assert.deepEqual(await of({ size: 256, do_normalize: false }), {
    resize: { width: 256, height: 256 },
    scale: 1 / 255,
  });
  assert.deepEqual(
    await of({ size: 256, do_center_crop: true, crop_size: 9, image_processor_type: 'DeiTImageProcessor' }),
    {
      ...{ resize: { width: 256, height: 256 }, crop: { width: 9, height: 9 }, scale: 1 / 255 },
    },
  );
  const convnext = { size: { shortest_edge: 224 }, crop_pct: 0.875, do_rescale: true };
  assert.deepEqual(await of(convnext), { shortest: 256, crop: { width: 224, height: 224 }, scale: 1 / 255 });
  assert.deepEqual(await of({ ...convnext, size: { shortest_edge: 384 } }), {
    ...{ resize: { width: 384, height: 384 }, scale: 1 / 255 },
  });
  const efficient = { do_resize: false, rescale_factor: 1 / 127.5, rescale_offset: true };
  assert.deepEqual(await of(efficient), { scale: 1 / 127.5, mean: [1], std: [1] });
  assert.deepEqual(await of({ do_resize: false, do_rescale: false, do_flip_channel_order: true }), {
    color: 'bgr',
    scale: 1,
  });
});

test('a processor with other steps is refused by name', async (t) => {
  const of = processors(t);
  const refusedOf = (config: Record<string, unknown>, code: string, says: RegExp) =>
    assert.rejects(of(config), (error: TandemError) => {
      assert.equal(error.code, code);
      assert.match(`${error.message}\n${error.remedy}`, says);
      return true;
    });
  await refusedOf({ do_thumbnail: true }, 'TANDEM_MODEL_UNSUPPORTED', /do_thumbnail/);
  await refusedOf({ include_top: true }, 'TANDEM_MODEL_UNSUPPORTED', /include_top/);
  await refusedOf({ size: 'large' }, 'TANDEM_MODEL_INVALID', /"size" is "large"/);
  await refusedOf({ size: { shortest_edge: -1 } }, 'TANDEM_MODEL_INVALID', /size.shortest_edge/);
  await refusedOf({ resample: 9 }, 'TANDEM_MODEL_INVALID', /"resample" is 9/);
  await refusedOf({ do_normalize: true, image_mean: ['a'] }, 'TANDEM_MODEL_INVALID', /image_mean/);
});

test('the flag wins, and a setting replaces those that decide the same', () => {
  const weak = settingsFrom('file', { shortest: 256, crop: { width: 224, height: 224 }, scale: 1 / 255, mean: [0.5] });
  const { settings, origins } = mergeSettings(settingsFrom('--image', parse('resize=320,letterbox,mean=0')), weak);
  assert.deepEqual(settings, { resize: 320, letterbox: 114, scale: 1 / 255, mean: [0] });
  assert.deepEqual(Object.fromEntries(origins), {
    ...{ resize: '--image', letterbox: '--image', mean: '--image', scale: 'file' },
  });
});

test('what does not fit the model is refused by name', () => {
  const recipe = (text: string, shape: readonly (number | null)[], dtype: 'float32' | 'uint8' | 'int8' = 'float32') => {
    return () => recipeFor({ name: 'x', dtype, shape }, settingsFrom('--image', parse(text)));
  };
  refused(recipe('resize=224', [3, 224, 224]), 'TANDEM_USAGE', /nothing says what the pixels.*\n.*scale=1\/255/);
  refused(recipe('resize=200,scale=1', [3, 224, 224]), 'TANDEM_USAGE', /200x200.*takes 224x224/);
  refused(recipe('resize=9x9,scale=1', [null, null, null]), 'TANDEM_USAGE', /add layout=/);
  refused(recipe('shortest=9,scale=1', [3, null, null]), 'TANDEM_USAGE', /differ in size.*\n.*crop=N/);
  refused(recipe('scale=1', [3, null, null]), 'TANDEM_USAGE', /differ in size/);
  refused(recipe('resize=9,scale=1,color=grey', [3, 9, 9]), 'TANDEM_USAGE', /has 3 channels.*color=grey gives 1/);
  refused(recipe('resize=9,scale=1', [4, 9, 9]), 'TANDEM_USAGE', /layout/);
  refused(recipe('resize=9,scale=1/255', [9, 9, 3], 'uint8'), 'TANDEM_USAGE', /whole numbers/);
  refused(recipe('resize=9', [9, 9, 3], 'int8'), 'TANDEM_MODEL_UNSUPPORTED', /cannot hold pixels/);
  refused(recipe('resize=9,scale=1', [9]), 'TANDEM_MODEL_UNSUPPORTED', /takes no image/);
});
