/** Decoded pixels are Pillow's for every kind that is accepted; others are refused by name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { decode } from '../../../src/rows/images/decode.js';
import { loadSharp } from '../../../src/rows/images/sharp.js';
import { RowFault } from '../../../src/rows/row-fault.js';
import { sha256 } from './made-pixels.js';

const folder = resolve(import.meta.dirname, '../../../../test/fixtures/images');
const { files } = JSON.parse(readFileSync(join(folder, 'pillow.json'), 'utf8')) as {
  files: Readonly<Record<string, { size: readonly [number, number]; rgb: string; grey: string }>>;
};
const bytesOf = (name: string) => readFileSync(join(folder, name));
const sharp = await loadSharp();
const LIMIT = 1_000_000;

for (const [name, { size, rgb, grey }] of Object.entries(files)) {
  test(`${name} has Pillow's pixels, turned as its EXIF says`, async () => {
    const color = await decode(sharp, bytesOf(name), { grey: false, maxPixels: LIMIT });
    assert.deepEqual([color.width, color.height, color.channels], [...size, 3]);
    assert.equal(sha256(color), rgb);
    const flat = await decode(sharp, bytesOf(name), { grey: true, maxPixels: LIMIT });
    assert.equal(flat.channels, 1);
    assert.equal(sha256(flat), grey);
  });
}

async function faultOf(bytes: Uint8Array, maxPixels = LIMIT): Promise<string> {
  const error = await decode(sharp, bytes, { grey: false, maxPixels }).then(
    () => assert.fail('it was decoded'),
    (cause) => cause,
  );
  assert.ok(error instanceof RowFault, String(error));
  assert.equal(error.code, 'TANDEM_ROW_INVALID');
  return error.message;
}

test('what Pillow decodes to other pixels is refused by name', async () => {
  assert.match(await faultOf(bytesOf('cmyk.jpg')), /CMYK/);
  assert.match(await faultOf(bytesOf('sixteen.png')), /ushort values, not 8 bits/);
  assert.match(await faultOf(bytesOf('plain.bmp')), /BMP image.*python3 -c/);
});

test('what is no image is refused by name', async () => {
  assert.match(await faultOf(Buffer.alloc(0)), /empty/);
  assert.match(await faultOf(Buffer.from('%PDF-1.7')), /a PDF/);
  assert.match(await faultOf(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')), /SVG/);
  assert.match(await faultOf(Buffer.from('hello')), /cannot be decoded/);
});

test('a truncated image is refused, wherever it ends', async () => {
  for (const name of ['plain.jpg', 'progressive.jpg', 'plain.png', 'plain.webp', 'plain.tif']) {
    const bytes = bytesOf(name);
    for (const share of [0, 0.1, 0.5, 0.9]) await faultOf(bytes.subarray(0, Math.floor(bytes.length * share)));
  }
});

test('an image of more pixels than allowed is refused before it is decoded', async () => {
  assert.match(await faultOf(bytesOf('plain.png'), 3071), /64 x 48 pixels, more than 3071.*max-pixels=3072/);
  await decode(sharp, bytesOf('plain.png'), { grey: false, maxPixels: 3072 });
});
