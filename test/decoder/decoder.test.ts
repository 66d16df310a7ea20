/** A decoder in stages: the same tokens as the whole model, one sequence at a time, whatever the cut, the groups and the neighbours. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { type OpenDecoderOptions, openDecoder } from '../../src/decoder/open-decoder.js';
import type { TandemError } from '../../src/errors.js';
import { residentMemoryOf } from '../../src/machine/resident-memory.js';
import { decoderCuts } from '../../src/model/decoder/cut.js';
import { decoderFacts } from '../../src/model/decoder/facts.js';
import { rewriteAttention } from '../../src/model/decoder/rewrite-attention.js';
import { readOnnx } from '../../src/model/onnx.js';
import { checkBudgets, DECODER } from '../../src/pipeline/check-budgets.js';
import { decoded, type Prompt } from '../fixtures/decoded.js';
import { WholeDecoder } from '../fixtures/whole-decoder.js';

const FORMS = ['decoder-concat', 'decoder-in-place'] as const;
const THREAD = { threads: 1 };
let folder: string;
const paths = new Map<string, string>();
const wholes = new Map<string, WholeDecoder>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-decoder-'));
  for (const name of FORMS) {
    paths.set(name, makeOnnx(name, join(folder, name)));
    wholes.set(name, await WholeDecoder.open(paths.get(name)!));
  }
});
after(async () => {
  for (const whole of wholes.values()) await whole.close();
  await rm(folder, { recursive: true });
});

/** Prompts of 1 to 40 tokens with answers of 1 to 20. */
const prompts: readonly Prompt[] = Array.from({ length: 11 }, (_, row) => ({
  prompt: Array.from({ length: 1 + ((row * 17) % 40) }, (_, n) => (row * 31 + n * 7 + n * n) % 80),
  maxTokens: 1 + ((row * 7) % 20),
}));

async function expected(name: string): Promise<number[][]> {
  const answers: number[][] = [];
  for (const { prompt, maxTokens } of prompts) {
    answers.push((await wholes.get(name)!.greedy(prompt, maxTokens)).tokens);
  }
  return answers;
}

const SMALL: OpenDecoderOptions = { stages: [THREAD, THREAD], slots: 4, maxLength: 64, chunk: 16 };

async function run(name: string, options: OpenDecoderOptions, given = prompts) {
  const decoder = await openDecoder(paths.get(name)!, { ...SMALL, ...options });
  try {
    return { ...(await decoded(decoder, given)), decoder };
  } finally {
    await decoder.close();
  }
}

for (const name of FORMS) {
  test(`${name}: any cut, slots and groups give the tokens of the whole model`, async () => {
    const answers = await expected(name);
    assert.ok(new Set(answers.flat()).size > 20, 'the model says different things');
    const model = readOnnx(paths.get(name)!);
    const facts = decoderFacts(model.graph);
    const rewriting = rewriteAttention(model, facts.pairs, facts.mask!);
    assert.equal(rewriting !== null, name === 'decoder-concat');
    const cuts = decoderCuts(model.graph, facts, rewriting?.closed).map(({ at }) => at);
    const options = fc.record({
      cuts: fc.subarray(cuts, { minLength: 1, maxLength: 2 }),
      slots: fc.integer({ min: 1, max: 6 }),
      groups: fc.integer({ min: 1, max: 3 }),
      chunk: fc.constantFrom(3, 16, 64),
    });
    await fc.assert(
      fc.asyncProperty(options, async (made) => {
        const stages = [THREAD, ...made.cuts.map(() => THREAD)];
        const { tokens, failures } = await run(name, { ...made, stages });
        assert.deepEqual(
          failures,
          prompts.map(() => null),
        );
        assert.deepEqual(tokens, answers);
      }),
      { numRuns: 6, seed: 1 },
    );
  });

  test(`${name}: the logits of a row are the same to the bit, whatever its neighbours and the order of admission`, async () => {
    const alone = await run(name, {}, prompts.slice(6, 7));
    const [reversed, forward] = [await run(name, {}, prompts.toReversed()), await run(name, { slots: 7, groups: 3 })];
    assert.deepEqual(forward.logits[6], alone.logits[0]);
    assert.deepEqual(reversed.logits.toReversed(), forward.logits);
  });
}

test('a cache that grows by Concat is kept in place, with the logits of the original; by itself it gives its very bytes', async () => {
  const name = 'decoder-concat';
  const [inPlace, grown] = [await run(name, {}), await run(name, { rewrite: false })];
  assert.deepEqual([inPlace.decoder.form, inPlace.decoder.rewritten], ['in-place', true]);
  assert.deepEqual([grown.decoder.form, grown.decoder.rewritten], ['by-row', false]);
  assert.deepEqual(inPlace.tokens, grown.tokens);
  for (const [row, { prompt, maxTokens }] of prompts.entries()) {
    const { logits } = await wholes.get(name)!.greedy(prompt, maxTokens);
    for (const [n, values] of logits.entries()) {
      const differences = values.map((value, k) => Math.abs(value - inPlace.logits[row]![n]![k]!));
      assert.ok(Math.max(...differences) < 1e-4, `row ${row}, token ${n}`);
      if (prompt.length <= 16) assert.deepEqual(grown.logits[row]![n], values);
    }
  }
});

test('a process a stage gives the same bytes as a thread a stage', async () => {
  const [threads, processes] = [
    await run('decoder-in-place', {}),
    await run('decoder-in-place', { isolation: 'process' }),
  ];
  assert.deepEqual(processes.logits, threads.logits);
});

test('a stage that is killed is started again, and the answers keep their bytes', async () => {
  const { logits } = await run('decoder-in-place', {});
  const decoder = await openDecoder(paths.get('decoder-in-place')!, { ...SMALL, isolation: 'process' });
  try {
    let count = 0;
    const killed = await decoded(decoder, prompts, () => {
      count += 1;
      if (count % 20 === 0) process.kill(decoder.pids[(count / 20) % 2]!, 'SIGKILL');
    });
    assert.deepEqual(killed.logits, logits);
    const restarts = killed.summary.stages.map((stage) => stage.restarts);
    assert.ok(restarts[0]! > 0 && restarts[1]! > 0, `both stages died: ${restarts}`);
  } finally {
    await decoder.close();
  }
});

test('a row that cannot be done is refused alone, and answers end at the greatest length', async () => {
  const given: Prompt[] = [
    { prompt: [1, 2, 3], maxTokens: 5 },
    { prompt: [], maxTokens: 5 },
    { prompt: [80], maxTokens: 5 },
    { prompt: new Array(64).fill(1), maxTokens: 5 },
    { prompt: new Array(60).fill(1), maxTokens: 50 },
  ];
  const { tokens, failures, summary } = await run('decoder-in-place', {}, given);
  assert.deepEqual(
    failures.map((failure) => failure?.code),
    [undefined, 'TANDEM_ROW_INVALID', 'TANDEM_ROW_INVALID', 'TANDEM_ROW_INVALID', undefined],
  );
  assert.deepEqual(
    tokens.map(({ length }) => length),
    [5, 0, 0, 0, 4],
  );
  assert.equal(summary.failed, 3);
});

test('a stage that holds more than its budget once it is warm is refused, with what it holds', async (t) => {
  if (process.platform !== 'linux') return t.skip('only Linux shows what a process holds');
  const stage = { ...THREAD, memory: 2 ** 30 };
  const decoder = await openDecoder(paths.get('decoder-in-place')!, { ...SMALL, stages: [stage] });
  t.after(() => decoder.close());
  const [pid] = decoder.pids;
  assert.notEqual(pid, null, 'a stage with a budget is a process');
  assert.throws(
    () => checkBudgets([{ memory: 2 ** 20 }], [residentMemoryOf(pid!)!.peak], DECODER),
    (error: TandemError) =>
      error.code === 'TANDEM_PLAN_IMPOSSIBLE' && /memory=\d+MiB, fewer --slots/.test(error.remedy!),
  );
});
