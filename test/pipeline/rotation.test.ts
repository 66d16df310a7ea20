/** A stage that rotates loads each pass once for a block of micro-batches, and has the same results, to the byte, as one that holds all. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import type { Plan } from '../../src/plan/plan.js';
import type { LayerRange } from '../../src/plan/stage-options.js';
import { feedsOf } from '../fixtures/onnx-runs.js';
import { feedOf, KINDS, openWarm, outputsOf, stagesOf, temporaryFolder } from '../fixtures/two-engines.js';

const folder = temporaryFolder();
after(folder.remove);

const BLOCK = 4;
/** Two blocks and a half. */
const BATCHES = 10;

/** Every stage in as many passes as it can have, all of them loaded, or rotating but for the first `resident`. */
const passed =
  (graph: ModelGraph, resident?: number) =>
  (plan: Plan): Plan => ({
    ...plan,
    ...(resident === undefined ? {} : { block: BLOCK }),
    stages: plan.stages.map((stage) => {
      const { from, to } = stage.ops;
      const ends = [from, ...legalCuts(graph).filter((k) => from < k && k < to), to];
      const passes = ends.slice(1).map((end, n): LayerRange => ({ from: ends[n]!, to: end }));
      return { ...stage, passes, ...(resident === undefined ? {} : { resident }) };
    }),
  });

for (const { engine, skip, square } of KINDS) {
  for (const isolation of ['thread', 'process'] as const) {
    test(`${engine}, ${isolation}: the bytes of a stage that holds everything, and each pass is loaded once for each block`, {
      skip,
    }, async () => {
      const graph = await square(folder.path);
      const last = graph.layers.length - 1;
      const one: [number, number][] = [[0, last]];
      const two: [number, number][] = [
        [0, last >> 1],
        [(last >> 1) + 1, last],
      ];
      const batches = Array.from({ length: BATCHES }, (_, seed) => feedsOf(graph, 4, 5, seed));
      for (const ranges of [one, two]) {
        const run = async (resident?: number, depth = (ranges.length + 1) * BLOCK) => {
          const change = passed(graph, resident);
          const pipeline = await openWarm(graph, { stages: stagesOf(ranges), isolation, depth, change });
          try {
            const found = await outputsOf(pipeline.run(feedOf(batches)));
            const uses = pipeline.timeline.uses();
            return { found, uses, passes: pipeline.passes.map(({ length }) => length) };
          } finally {
            await pipeline.close();
          }
        };
        const held = await run();
        assert.deepEqual(
          held.uses.map(({ loads }) => loads),
          ranges.map(() => 0),
        );
        for (const resident of [0, 1]) {
          const rotated = await run(resident);
          assert.deepEqual(rotated.found, held.found);
          assert.deepEqual(
            rotated.uses.map(({ loads }) => loads),
            rotated.passes.map((passes) => Math.ceil(BATCHES / BLOCK) * (passes - resident)),
          );
          assert.ok(rotated.uses.every(({ loadingSeconds }) => loadingSeconds > 0));
        }
        // With fewer slots than a block has micro-batches it loads more often, and is as right.
        assert.deepEqual((await run(0, 2)).found, held.found);
      }
    });
  }
}
