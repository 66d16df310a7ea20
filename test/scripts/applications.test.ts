/** The generated image classifiers have the same number of parameters as the published ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APPLICATIONS } from '../../scripts/make-model/applications.js';

/** Parameter counts of the authors; ours have a scale in every batch normalisation and no normalisation of the input. */
const PARAMETERS: Record<string, number> = {
  'mobilenet-v2': 3_538_984,
  'efficientnet-b0': 5_330_571 - 7,
  'inception-v3': 23_851_784 + 17_216,
  'resnet-50': 25_557_032 + 2 * 26_560,
};

for (const [name, { size, make }] of Object.entries(APPLICATIONS)) {
  test(name, () => {
    const { weights } = make({ ...size, length: 96 });
    const count = weights.reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0);
    assert.equal(count, PARAMETERS[name]);
  });
}
