/** `tandem run` with models that move their rows off the first axis inside: at every legal cut, by hand and planned, as the whole model. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { Random } from '../../src/prove/models/random.js';
import { feedsOf, made, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';
import { tensorflow } from '../fixtures/tfjs-runs.js';
import { answers, assertSame, writeNpy } from './rows-files.js';
import { tandem } from './tandem-process.js';

const folder = temporaryFolder();
after(folder.remove);
const cwd = folder.path;

const { skip } = tensorflow;

/** The last micro-batch is not full. */
const ROWS = 10;
const BATCH = ['--micro-batch', '4'];

/** The rows as files with the flags that name them, and what the model makes of them in one piece. `at`: where it is made, of each test its own. */
async function subject(name: string, at: string, { past = 5, path = made(join(cwd, at), name) } = {}) {
  const graph = await openModel(path);
  const feeds = feedsOf(graph, ROWS, 3).map((feed, n) => {
    const { shape } = graph.inputs[n]!;
    if (shape.length !== 4) return feed;
    const dims = feed.shape.with(2, past);
    return { ...feed, shape: dims, data: new Float32Array(dims.reduce((a, b) => a * b, 1)).map((_, k) => Math.sin(k)) };
  });
  const files = graph.inputs.map((input, n) => ({
    input,
    file: writeNpy(cwd, `${at}-${name}-${past}-${n}.npy`, feeds[n]!),
  }));
  const rows = files.flatMap(({ input, file }) => ['-i', files.length > 1 ? `${input.name}=${file}` : file]);
  return { path, graph, rows, whole: await runWhole(graph, feeds) };
}

/** Layers that a stage may begin with, but for the first. */
function boundaries(graph: ModelGraph): number[] {
  const legal = new Set(legalCuts(graph));
  return graph.layers.filter(({ index, from }) => index > 0 && legal.has(from)).map(({ index }) => index);
}

function stagesAt(cuts: readonly number[]): string[] {
  const starts = [0, ...cuts];
  return starts.flatMap((from, n) => {
    const to = n + 1 < starts.length ? starts[n + 1]! - 1 : '';
    return ['-s', `cpu,layers=${from}..${to},threads=1`];
  });
}

/** `of` in groups of at most `size`, ascending, dealt by chance that is always the same. */
function dealt(of: readonly number[], size: number, seed: number): number[][] {
  const random = new Random(seed);
  const left = [...of];
  const groups: number[][] = [];
  while (left.length > 0) {
    const group = Array.from(
      { length: Math.min(size, left.length) },
      () => left.splice(random.below(left.length), 1)[0]!,
    );
    groups.push(group.sort((a, b) => a - b));
  }
  return groups;
}

/** The ops from each cut to the next as a module. */
function modulesBetween({ ops }: ModelGraph, cuts: readonly number[]): Map<string, number> {
  return new Map(ops.map(({ name, index }) => [name, cuts.filter((cut) => cut <= index).length]));
}

const MODELS = ['batch-second', 'clip-text', 'layer-embeddings', 'lstm', 'gru', 'whisper', 'cached-decoder'];

/** The tables of words have 50, but for the last block's, which has 40: one row fails in the first stage, the others in the last. */
const BAD = new Map([
  [0, 45],
  [9, 49],
  [10, 40],
  [17, 50],
  [20, 44],
]);
const MANY = 21;
const STEPS = 7;

suite('rows inside', { concurrency: 2 }, () => {
  for (const name of MODELS) {
    test(`${name}: a stage for every layer, and cut by tandem, give what the whole model gives`, async () => {
      const { path, graph, rows, whole } = await subject(name, 'layers');
      const cuts = boundaries(graph);
      assert.ok(cuts.length >= 2, `${name} can be cut at ${cuts}`);
      const everywhere = await answers(cwd, [path, ...rows, ...BATCH, ...lastTo(graph, stagesAt(cuts))]);
      const planned = await answers(cwd, [path, ...rows, ...BATCH, '-s', 'cpu', '-s', 'cpu']);
      for (const [n, output] of graph.outputs.entries()) {
        assertSame(everywhere[output], whole[n]!, 0, `${name}, a stage a layer: ${output}`);
        assertSame(planned[output], whole[n]!, 0, `${name}, planned: ${output}`);
      }
    });
  }

  for (const name of MODELS) {
    test(`${name}: cut inside of layers, between ops that may be parted`, async () => {
      const { path: made, graph: plain } = await subject(name, 'ops');
      // Modules of fewer than two ops make no layers. TEST_EVERYTHING: at every cut.
      const size = Math.min(5, (plain.ops.length >> 1) - 1);
      const groups = dealt(legalCuts(plain), size, 7).slice(
        0,
        process.env.TEST_EVERYTHING === undefined ? 2 : undefined,
      );
      for (const [n, cuts] of groups.entries()) {
        const path = makeOnnx(name, join(dirname(made), `${n}`), { modules: modulesBetween(plain, cuts) });
        const { graph, rows, whole } = await subject(name, 'ops', { path });
        const begins = cuts.map((cut) => graph.layers.findIndex(({ from }) => from === cut));
        assert.ok(!begins.includes(-1), `a layer begins at each of ${cuts}`);
        const found = await answers(cwd, [path, ...rows, ...BATCH, ...lastTo(graph, stagesAt(begins))]);
        for (const [n, output] of graph.outputs.entries()) {
          assertSame(found[output], whole[n]!, 0, `${name}, cut before ops ${cuts}: ${output}`);
        }
      }
    });
  }

  for (const isolation of ['thread', 'process']) {
    test(`layer-embeddings, ${isolation}: bad rows are reported singly, all others are right`, async () => {
      const path = made(join(cwd, isolation), 'layer-embeddings');
      const graph = await openModel(path);
      const ids = (row: number) => Array.from({ length: STEPS }, (_, n) => (row * 7 + n * 3) % 40);
      const lines = Array.from({ length: MANY }, (_, row) => {
        return JSON.stringify({ id: `row ${row}`, inputs: ids(row).with(2, BAD.get(row) ?? ids(row)[2]!) });
      });
      writeFileSync(join(cwd, `${isolation}-bad.jsonl`), `${lines.join('\n')}\n`);
      const output = `bad-${isolation}.jsonl`;
      const stages = lastTo(graph, stagesAt(boundaries(graph)));
      const args = [
        path,
        '-i',
        `${isolation}-bad.jsonl`,
        '-o',
        output,
        ...BATCH,
        ...stages,
        '--isolation',
        isolation,
        '-q',
      ];
      const { status, stderr } = await tandem(['run', ...args], { cwd });
      assert.equal(status, 65, stderr);
      const read = (file: string) =>
        readFileSync(join(cwd, file), 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
      const failed = read(`${output}.errors.jsonl`);
      assert.deepEqual(
        failed.map(({ index, id, code }) => [index, id, code]),
        [...BAD.keys()].map((row) => [row, `row ${row}`, 'TANDEM_ENGINE_FAILED']),
      );
      for (const [n, word] of [...BAD.values()].entries()) {
        assert.match(failed[n].message, new RegExp(`^by itself it makes a stage fail: .*\\b${word}\\b`));
      }
      const good = Array.from({ length: MANY }, (_, row) => row).filter((row) => !BAD.has(row));
      const data = BigInt64Array.from(good.flatMap(ids), BigInt);
      const [whole] = await runWhole(graph, [{ dtype: 'int64', shape: [good.length, STEPS], data }]);
      const found = read(output);
      assert.deepEqual(
        found.map(({ id }) => id),
        good.map((row) => `row ${row}`),
      );
      assertSame(
        found.flatMap(({ outputs }) => outputs.states.flat(2)),
        whole!,
        0,
      );
    });
  }

  test('a stack of LSTMs and GRUs in TensorFlow.js, cut at every layer and by tandem', { skip }, async () => {
    const path = await makeModel('recurrent', join(cwd, 'recurrent'));
    const graph = await openModel(path);
    const data = Float32Array.from({ length: ROWS * 40 }, (_, n) => Math.sin(n));
    const rows = ['-i', writeNpy(cwd, 'recurrent.npy', { dtype: 'float32', shape: [ROWS, 5, 8], data })];
    const whole = await answers(cwd, [path, ...rows, ...BATCH, '-s', 'cpu']);
    const scores = Float32Array.from(whole.scores!);
    assert.equal(scores.length, ROWS * 3);
    const expected = { dtype: 'float32', shape: [ROWS, 3], data: scores } as const;
    for (const stages of [lastTo(graph, stagesAt(boundaries(graph))), ['-s', 'cpu', '-s', 'cpu']]) {
      assertSame((await answers(cwd, [path, ...rows, ...BATCH, ...stages])).scores, expected, 0, stages.join(' '));
    }
  });

  test('cached-decoder: the first step, with nothing in the cache, from arrays and from JSON lines', async () => {
    const { path, graph, rows, whole } = await subject('cached-decoder', 'first-step', { past: 0 });
    const stages = lastTo(graph, stagesAt(boundaries(graph)));
    const found = await answers(cwd, [path, ...rows, ...BATCH, ...stages]);
    for (const [n, output] of graph.outputs.entries()) assertSame(found[output], whole[n]!, 0, output);
    const [ids] = feedsOf(graph, ROWS, 3);
    const past = Object.fromEntries(graph.inputs.slice(1).map(({ name }) => [name, [[], []]]));
    const lines = Array.from({ length: ROWS }, (_, n) => {
      const own = Array.from(ids!.data.subarray(n * 3, n * 3 + 3) as BigInt64Array, Number);
      return JSON.stringify({ inputs: { ids: own, ...past } });
    });
    writeFileSync(join(cwd, 'first-step.jsonl'), `${lines.join('\n')}\n`);
    const fromLines = await answers(cwd, [path, '-i', 'first-step.jsonl', ...BATCH, ...stages]);
    for (const [n, output] of graph.outputs.entries()) assertSame(fromLines[output], whole[n]!, 0, output);
  });

  test('batch-second: every single cut, and one that is found by measuring', async () => {
    const { path, graph, rows, whole } = await subject('batch-second', 'single');
    for (const cut of boundaries(graph)) {
      const found = await answers(cwd, [path, ...rows, ...BATCH, ...lastTo(graph, stagesAt([cut]))]);
      assertSame(found.y, whole[0]!, 0, `cut before layer ${cut}`);
    }
    const env = { TANDEM_PLAN: 'auto', XDG_CACHE_HOME: join(cwd, 'cache') };
    const measured = await answers(cwd, [path, ...rows, ...BATCH, '-s', 'cpu', '-s', 'cpu'], env);
    assertSame(measured.y, whole[0]!, 0, 'cut by measured times');
  });
});

/** The last stage ends with the last layer. */
function lastTo({ layers }: ModelGraph, stages: readonly string[]): string[] {
  return stages.map((text) => text.replace('..,', `..${layers.length - 1},`));
}
