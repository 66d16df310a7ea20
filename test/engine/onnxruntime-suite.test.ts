/** A fixed sample of ONNX's own backend suite: what onnxruntime-node runs whole, it runs cut, with equal outputs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { haveSuite, obtainSuite } from '../../scripts/onnx-suite/obtain.js';
import { runCase } from '../../scripts/onnx-suite/run-case.js';
import { sampleOf, spread } from '../../scripts/onnx-suite.js';

test('the sample runs cut as it runs whole', async (t) => {
  if (!haveSuite())
    return t.skip('the suite is not on this machine; bring it with: node dist/scripts/onnx-suite.js --sample');
  let cut = 0;
  const different: string[] = [];
  for (const suiteCase of sampleOf(obtainSuite())) {
    const result = await runCase(suiteCase, (cuts) => spread(cuts, 2));
    if (result.outcome === 'cut') cut++;
    different.push(...result.different.map((what) => `${suiteCase.name}: ${what}`));
  }
  assert.deepEqual(different, []);
  assert.ok(cut > 30, `only ${cut} cases were cut`);
});
