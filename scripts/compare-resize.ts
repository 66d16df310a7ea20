/** Compares resizing with a live Pillow: `PYTHON -u scripts/image-fixtures.py --check 500 | node dist/scripts/compare-resize.js`. */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { Resample } from '../src/rows/images/filters.js';
import { resize } from '../src/rows/images/resize.js';
import { madePixels } from '../test/rows/images/made-pixels.js';

interface Case {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly channels: number;
  readonly resample: Resample;
  readonly sha256: string;
}

let same = 0;
let different = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { from, to, channels, resample, sha256 } = JSON.parse(line) as Case;
  const { data } = resize(madePixels(...from, channels), ...to, resample);
  if (createHash('sha256').update(data).digest('hex') === sha256) same += 1;
  else {
    different += 1;
    process.stdout.write(`differs: ${line}\n`);
  }
}
process.stdout.write(`${same} the same, ${different} different\n`);
process.exitCode = different > 0 || same === 0 ? 1 : 0;
