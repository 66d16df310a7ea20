/** Rounds: a slot that goes through the stages again has the same bytes as a new run on the outputs of the run before. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ModelGraph } from '../../src/model/graph.js';
import { problemsOf } from '../../src/schedule/check.js';
import { decodeLoops } from '../../src/schedule/policy.js';
import type { Tensor } from '../../src/tensor.js';
import { CountingFeed, openChain } from '../fixtures/chain.js';
import { feedsOf } from '../fixtures/onnx-runs.js';
import { recordedBy, shapeOf } from '../fixtures/recorded.js';
import { feedOf, KINDS, openWarm, outputsOf, stagesOf, temporaryFolder } from '../fixtures/two-engines.js';

const folder = temporaryFolder();
after(folder.remove);

const fedBack = ({ inputs, outputs }: ModelGraph, most: number) => ({
  most,
  feedback: { [inputs[0]!.name]: outputs[0]! },
});

for (const { engine, skip, square } of KINDS) {
  for (const isolation of ['thread', 'process'] as const) {
    test(`${engine}, ${isolation}: rounds give the same bytes as sequential runs`, { skip }, async () => {
      const graph = await square(folder.path);
      const last = graph.layers.length - 1;
      const rounds = [2, 1, 3, 2, 2];
      const batches = rounds.map((_, n) => feedsOf(graph, 4 - (n % 2), 5, n));
      for (const stages of [
        stagesOf([
          [0, last >> 1],
          [(last >> 1) + 1, last],
        ]),
        stagesOf([[0, last]]),
      ]) {
        const plain = await openWarm(graph, { stages, isolation });
        const expected: Tensor[] = [];
        try {
          for (const [n, count] of rounds.entries()) {
            let feeds: Tensor[] = batches[n]!;
            for (let round = 0; round < count; round++) {
              const [outputs] = await outputsOf(plain.run(feedOf([feeds])));
              feeds = [outputs![graph.outputs[0]!]!];
            }
            expected.push(feeds[0]!);
          }
        } finally {
          await plain.close();
        }
        const policy = decodeLoops(3, 3);
        const looping = await openWarm(graph, { stages, isolation, settings: { rounds: fedBack(graph, 3), policy } });
        try {
          const traits = rounds.map((count) => ({ rounds: count }));
          const results = await outputsOf(looping.run(feedOf(batches, traits)));
          assert.deepEqual(
            results.map((outputs) => outputs[graph.outputs[0]!]),
            expected,
          );
          assert.equal(looping.timeline.recorded, 10 * stages.length);
          assert.equal(looping.timeline.rows, 18);
        } finally {
          await looping.close();
        }
      }
    });
  }
}

for (const isolation of ['thread', 'process'] as const) {
  test(`${isolation}: a run of two rounds keeps the rules of schedules`, async () => {
    const settings = { rounds: { most: 2, feedback: { x: 'y' } }, policy: decodeLoops(2, 2) };
    const chain = { providers: ['ok', 'ok'], isolation, depth: 2, settings };
    const pipeline = await openChain({ ...chain, microBatch: 1 });
    try {
      const feed = Object.assign(new CountingFeed(12), { traits: () => ({ rounds: 2 }) });
      assert.deepEqual(
        await firsts(pipeline.run(feed)),
        Array.from({ length: 12 }, (_, row) => row + 4),
      );
      assert.deepEqual(problemsOf(recordedBy(pipeline), shapeOf(pipeline, { rounds: 2 }), 12), []);
    } finally {
      await pipeline.close();
    }
  });

  test(`${isolation}: a row that fails in the second round is found, and the others are run again from the first`, async () => {
    const settings = { rounds: { most: 2, feedback: { x: 'y' } } };
    const pipeline = await openChain({ providers: ['rows:throw=5', 'ok'], isolation, settings });
    try {
      const feed = Object.assign(new CountingFeed(12), { traits: () => ({ rounds: 2 }) });
      const failed: number[] = [];
      const found: (number | null)[] = [];
      for await (const { rows, outputs, failed: own } of pipeline.run(feed)) {
        const { data } = outputs.get('y')!;
        for (let row = 0; row < rows; row++) {
          if (own.has(row)) failed.push(found.length);
          found.push(own.has(row) ? null : Number(data[row * 4]));
        }
      }
      // The stage gets 5 in the first round of row 5, and in the second round of row 3.
      assert.deepEqual(failed, [3, 5]);
      assert.deepEqual(
        found,
        Array.from({ length: 12 }, (_, row) => (failed.includes(row) ? null : row + 4)),
      );
    } finally {
      await pipeline.close();
    }
  });
}

test('an output that cannot replace an input is refused', async () => {
  const [onnx] = KINDS;
  const graph = await onnx!.sequence(folder.path);
  const stages = stagesOf([[0, graph.layers.length - 1]]);
  const opening = { stages, isolation: 'thread', settings: { rounds: fedBack(graph, 2) } } as const;
  const shapes = graph.inputs.map(() => [6]);
  await assert.rejects(openWarm(graph, opening, shapes), { code: 'TANDEM_PLAN_IMPOSSIBLE', message: /cannot be read/ });
});

async function firsts(run: AsyncIterable<{ rows: number; outputs: ReadonlyMap<string, Tensor> }>): Promise<number[]> {
  const found: number[] = [];
  for await (const { rows, outputs } of run) {
    for (let row = 0; row < rows; row++) found.push(Number(outputs.get('y')!.data[row * 4]));
  }
  return found;
}
