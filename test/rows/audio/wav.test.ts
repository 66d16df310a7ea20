/** WAV files as windows: every encoding that is accepted gives the same samples, and others are refused by name. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { WavStream } from '../../../src/rows/audio/wav-stream.js';
import { parseWindow, windowsOf } from '../../../src/rows/audio/window-flag.js';
import { RowFault } from '../../../src/rows/row-fault.js';
import { type WavParts, wavBytes } from '../../fixtures/wav-bytes.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-wav-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

async function open(bytes: Buffer, window: string): Promise<WavStream> {
  const path = join(folder, `${count++}.wav`);
  writeFileSync(path, bytes);
  return WavStream.open(path, { settings: parseWindow(window, '--window'), rate: 16_000, allowNonFinite: false });
}

async function windows(bytes: Buffer, window: string): Promise<number[][]> {
  const stream = await open(bytes, window);
  const found: number[][] = [];
  for (let n = 0; n < stream.windows; n++) found.push([...(await stream.window(n))]);
  await stream.close();
  return found;
}

/** Exact in 8 bits. */
const SAMPLES = [0, 0.5, -0.5, -1, 0.25];

test('every encoding gives the same samples; the last window is filled up with zeros', async () => {
  for (const encoding of ['u8', 's16', 's24', 's32', 'f32', 'f64'] as const) {
    const bytes = wavBytes({ samples: SAMPLES, encoding });
    assert.deepEqual(
      await windows(bytes, '2'),
      [
        [0, 0.5],
        [-0.5, -1],
        [0.25, 0],
      ],
      encoding,
    );
  }
});

test('hops, a lead, other chunks, and a size that was not filled in', async () => {
  const bytes = wavBytes({ samples: SAMPLES, chunks: { LIST: Buffer.from('odd') }, size: 0xffff_ffff });
  assert.deepEqual(await windows(bytes, '3,hop=1'), [
    [0, 0.5, -0.5],
    [0.5, -0.5, -1],
    [-0.5, -1, 0.25],
  ]);
  assert.deepEqual(await windows(bytes, '3,hop=2,lead=1'), [
    [0, 0, 0.5],
    [0.5, -0.5, -1],
    [-1, 0.25, 0],
  ]);
  assert.deepEqual(await windows(bytes, '8'), [[...SAMPLES, 0, 0, 0]]);
});

test('every sample is in a window, none of which is empty, and windows equal those of the whole file', async () => {
  const settings = fc
    .record({ length: fc.integer({ min: 1, max: 9 }), hop: fc.integer({ min: 1, max: 9 }), lead: fc.nat(8) })
    .filter(({ length, hop, lead }) => hop <= length && lead < length);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), settings, async (samples, { length, hop, lead }) => {
      const values = Array.from({ length: samples }, (_, n) => (n + 1) / 128);
      const found = await windows(wavBytes({ samples: values }), `${length},hop=${hop},lead=${lead}`);
      assert.equal(found.length, windowsOf(samples, { length, hop, lead }));
      const expected = found.map((_, n) => Array.from({ length }, (_, k) => values[n * hop - lead + k] ?? 0));
      assert.deepEqual(found, expected);
      assert.ok(found.every((window) => window.some((value) => value !== 0)));
      assert.ok(found.at(-1)!.includes(values.at(-1)!));
    }),
    { numRuns: 60 },
  );
});

test('a long file is read in blocks', async () => {
  const samples = Array.from({ length: 50_000 }, (_, n) => (n % 1000) / 1024);
  const found = await windows(wavBytes({ samples, encoding: 'f32' }), '512,hop=500');
  for (const [n, window] of found.entries()) assert.equal(window[7], n * 500 + 7 < 50_000 ? samples[n * 500 + 7] : 0);
});

test('what is wrong with a file is named', async () => {
  const good = wavBytes({ samples: SAMPLES });
  const of = (parts: Partial<WavParts>) => wavBytes({ samples: SAMPLES, ...parts });
  for (const [bytes, says] of [
    [Buffer.alloc(0), /no WAV file/],
    [Buffer.from('hello, this is no sound'), /no WAV file/],
    [good.subarray(0, 30), /ends before its samples|format is cut short/],
    [good.subarray(0, good.length - 3), /cut short/],
    [of({ samples: [] }), /no samples/],
    [of({ rate: 44_100 }), /44100 samples in a second, and the model takes 16000.*-ar 16000/],
    [of({ channels: 2, samples: [...SAMPLES, 0] }), /2 channels/],
    [Buffer.from(good.toString('latin1').replace('RIFF', 'RIFX'), 'latin1'), /RIFX/],
    [Buffer.concat([good.subarray(0, 20), Buffer.from([6, 0]), good.subarray(22)]), /of kind 6 with 16 bits.*ffmpeg/],
    [Buffer.concat([good.subarray(0, 32), Buffer.from([9, 0]), good.subarray(34)]), /contradicts itself/],
  ] as const) {
    await assert.rejects(
      open(bytes, '2'),
      (error) => error instanceof RowFault && says.test(error.message),
      String(says),
    );
  }
  const broken = await open(of({ samples: [0, Number.NaN, 0, 0], encoding: 'f32' }), '2');
  await assert.rejects(
    broken.window(0),
    (error) => error instanceof RowFault && error.code === 'TANDEM_ROW_NOT_FINITE',
  );
  await broken.close();
});

test('what is wrong with --window is named', () => {
  for (const [text, says] of [
    ['0', /"0" is not a number of samples/],
    ['512,hop=1024', /do not fit/],
    ['512,lead=512', /do not fit/],
    ['512,hop=2,hop=3', /given twice/],
    ['512,step=2', /no setting of a window/],
    ['512,rate=fast', /rate=fast is not a number/],
  ] as const) {
    assert.throws(() => parseWindow(text, '--window'), says);
  }
  assert.deepEqual(parseWindow('512,rate=8000', '--window'), { length: 512, hop: 512, lead: 0, rate: 8000 });
});
