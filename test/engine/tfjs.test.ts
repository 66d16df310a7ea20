/** The law of the tfjs engine: a model cut anywhere legal gives, to the bit, what the model gives whole in tfjs. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { writeModel } from '../../scripts/make-model/model-files.js';
import { MODELS } from '../../scripts/make-model.js';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { bytesOf, type Tensor } from '../../src/tensor.js';
import { randomModel, recipes } from '../fixtures/random-layers.js';
import { feedsOf, opened, runCut, runWhole, temporaryFolder, tensorflow } from '../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

function assertSame(found: readonly Tensor[], expected: readonly Tensor[]): void {
  const plain = ({ dtype, shape, data }: Tensor) => ({
    dtype,
    shape: [...shape],
    bytes: Buffer.from(bytesOf(data)).toString('hex'),
  });
  assert.deepEqual(found.map(plain), expected.map(plain));
}

/** Up to three legal cuts, and a number of rows. */
const cutsAndRows = (graph: ModelGraph) =>
  fc.record({
    cuts: fc.subarray(legalCuts(graph), { maxLength: Math.min(3, legalCuts(graph).length) }),
    rows: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(1000),
  });

for (const name of Object.keys(MODELS)) {
  test(`${name}: cut anywhere legal into up to four slices equals the whole model`, { skip }, async () => {
    const graph = await opened(folder.path, name, { shardBytes: 5000 });
    assert.ok(legalCuts(graph).length >= 2);
    await fc.assert(
      fc.asyncProperty(cutsAndRows(graph), async ({ cuts, rows, seed }) => {
        const feeds = feedsOf(graph, rows, seed);
        assertSame(await runCut(graph, cuts, feeds), await runWhole(tf!, graph, feeds));
      }),
      { numRuns: 6 },
    );
  });

  test(`${name}: cut at every legal cut at once equals the whole model`, { skip }, async () => {
    const graph = await opened(folder.path, name);
    const feeds = feedsOf(graph, 3);
    assertSame(await runCut(graph, legalCuts(graph), feeds), await runWhole(tf!, graph, feeds));
  });
}

test('any functional model, its layers in any order in the file, cut anywhere equals the whole model', {
  skip,
}, async () => {
  await fc.assert(
    fc.asyncProperty(recipes, fc.nat(), fc.integer({ min: 1, max: 3 }), async (recipe, choice, rows) => {
      const path = await writeModel(mkdtempSync(join(folder.path, 'random-')), randomModel(recipe), {
        seed: 1,
        shardBytes: 100,
      });
      const graph = await openModel(path);
      const legal = legalCuts(graph);
      const feeds = feedsOf(graph, rows);
      assert.equal(legal.length, Math.max(0, graph.ops.length - 1));
      const expected = await runWhole(tf!, graph, feeds);
      assertSame(await runCut(graph, legal, feeds), expected);
      assertSame(
        await runCut(
          graph,
          legal.filter((k) => (choice >> (k % 16)) & 1),
          feeds,
        ),
        expected,
      );
    }),
    // Shrinking would build models for minutes; the seed brings the case back.
    { numRuns: 40, endOnFailure: true },
  );
});
