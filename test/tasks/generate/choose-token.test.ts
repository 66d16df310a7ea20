/** Choosing tokens, each rule against a slow plain reference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseToken, likeliest } from '../../../src/tasks/generate/choose-token.js';
import { LogProbabilities } from '../../../src/tasks/generate/log-probabilities.js';
import { LogitRules } from '../../../src/tasks/generate/logit-rules.js';
import { Random } from '../../../src/tasks/generate/random.js';

/** Few different values, so that tokens are often equally likely. */
const logit = fc.oneof(
  fc.integer({ min: -6, max: 6 }).map((value) => value / 2),
  fc.float({ min: -30, max: 30, noNaN: true }),
  fc.constant(Number.NEGATIVE_INFINITY),
);
const logits = fc
  .array(logit, { minLength: 1, maxLength: 40 })
  .filter((values) => values.some(Number.isFinite))
  .map((values) => Float32Array.from(values));
const rules = fc.record({
  temperature: fc.constantFrom(0, 0.1, 0.7, 1, 2.5),
  topK: fc.constantFrom(0, 1, 2, 5, 39, 40, 100),
  topP: fc.constantFrom(1e-9, 0.1, 0.5, 0.9, 0.999, 1),
  minP: fc.constantFrom(0, 0.01, 0.3, 1),
});
const draw = fc.integer({ min: 0, max: 2 ** 30 - 1 }).map((n) => n / 2 ** 30);

interface Left {
  readonly id: number;
  readonly weight: number;
}

/** What the rules leave, in the order of the ids: as the papers and vLLM's documents write them, by sorting everything. */
function plainlyLeft(
  values: Float32Array,
  { temperature, topK, topP, minP }: Parameters<typeof chooseToken>[1],
): Left[] {
  const most = Math.max(...values);
  const all = [...values].map((value, id) => ({ id, weight: Math.exp((value - most) / temperature) }));
  let left = all.filter(({ weight }) => weight >= minP && weight > 0);
  left.sort((a, b) => b.weight - a.weight || a.id - b.id);
  if (topK > 0) left = left.slice(0, topK);
  const byId = [...left].sort((a, b) => a.id - b.id);
  const sum = byId.reduce((total, { weight }) => total + weight, 0);
  if (topP < 1) {
    let passed = 0;
    const last = left.findIndex(({ weight }) => {
      passed += weight;
      return passed >= topP * sum;
    });
    if (last >= 0) left = left.slice(0, last + 1);
  }
  return left.sort((a, b) => a.id - b.id);
}

function plainly(values: Float32Array, asked: Parameters<typeof chooseToken>[1], share: number): number {
  if (asked.temperature === 0) return values.indexOf(Math.max(...values));
  const left = plainlyLeft(values, asked);
  const target = share * left.reduce((total, { weight }) => total + weight, 0);
  let passed = 0;
  return (left.find(({ weight }) => {
    passed += weight;
    return passed > target;
  }) ?? left.at(-1))!.id;
}

test('temperature, min-p, top-k, top-p and the draw choose what a plain reference chooses', () => {
  fc.assert(
    fc.property(logits, rules, draw, (values, asked, share) => {
      assert.equal(
        chooseToken(values, asked, () => share),
        plainly(values, asked, share),
      );
    }),
    { numRuns: 3000 },
  );
});

test('over many draws each token comes as often as its probability says', () => {
  const values = Float32Array.from([0, 1, 2, 3, Number.NEGATIVE_INFINITY, 3]);
  const asked = { temperature: 1.5, topK: 4, topP: 0.97, minP: 0.05 };
  const random = new Random({ seed: 7, row: 3, choice: 0 });
  const counts = new Map<number, number>();
  const draws = 40_000;
  for (let n = 0; n < draws; n++) {
    const id = chooseToken(values, asked, () => random.next());
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const left = plainlyLeft(values, asked);
  const sum = left.reduce((total, { weight }) => total + weight, 0);
  assert.deepEqual(
    [...counts.keys()].sort(),
    left.map(({ id }) => id),
  );
  for (const { id, weight } of left) {
    const expected = weight / sum;
    // Five standard deviations.
    const bound = 5 * Math.sqrt((expected * (1 - expected)) / draws);
    assert.ok(Math.abs(counts.get(id)! / draws - expected) < bound, `token ${id}`);
  }
});

test('logits that are no numbers choose nothing', () => {
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
    for (const place of [0, 2]) {
      const values = Float32Array.from([1, 2, 3]);
      values[place] = wrong;
      assert.equal(likeliest(values), -1);
      assert.equal(
        chooseToken(values, { temperature: 1, topK: 0, topP: 1, minP: 0 }, () => 0.5),
        -1,
      );
    }
  }
  assert.equal(likeliest(Float32Array.from([Number.NEGATIVE_INFINITY])), -1);
});

test('bias and penalties, token by token, are what their formulas give', () => {
  const vocabulary = 12;
  const ids = fc.array(fc.integer({ min: 0, max: vocabulary - 1 }), { maxLength: 15 });
  const penalty = fc.constantFrom(0, 0.5, -1.25, 2);
  const settings = fc.record({
    logitBias: fc.dictionary(fc.integer({ min: 0, max: vocabulary + 2 }).map(String), fc.constantFrom(-100, -0.5, 3)),
    repetitionPenalty: fc.constantFrom(1, 1.25, 0.5),
    presencePenalty: penalty,
    frequencyPenalty: penalty,
  });
  const raw = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: vocabulary, maxLength: vocabulary });
  fc.assert(
    fc.property(settings, ids, ids, raw, (asked, prompt, answer, values) => {
      const rulesOfRow = new LogitRules(asked, prompt);
      for (const id of answer) rulesOfRow.add(id);
      const got = Float32Array.from(values);
      rulesOfRow.apply(got);
      const expected = values.map((value, id) => {
        let logitNow = Math.fround(value + (asked.logitBias[id] ?? 0));
        const isThere = prompt.includes(id) || answer.includes(id);
        if (isThere)
          logitNow = Math.fround(
            logitNow > 0 ? logitNow / asked.repetitionPenalty : logitNow * asked.repetitionPenalty,
          );
        const count = answer.filter((each) => each === id).length;
        const less = (count > 0 ? asked.presencePenalty : 0) + count * asked.frequencyPenalty;
        return Math.fround(logitNow - less);
      });
      assert.deepEqual(
        [...got].map((value) => value + 0),
        expected.map((value) => value + 0),
      );
    }),
  );
});

test('log probabilities are those of the softmax, the likeliest first', () => {
  fc.assert(
    fc.property(logits, fc.integer({ min: 0, max: 20 }), (values, count) => {
      const all = new LogProbabilities(values.slice());
      const sum = values.reduce((total, value) => total + Math.exp(value - 30), 0);
      const plain = [...values].map((value, id) => ({ id, logprob: value - 30 - Math.log(sum) }));
      const best = plain
        .filter(({ id }) => values[id] !== Number.NEGATIVE_INFINITY)
        .sort((a, b) => values[b.id]! - values[a.id]! || a.id - b.id)
        .slice(0, count);
      const top = all.top(count);
      assert.deepEqual(
        top.map(({ id }) => id),
        best.map(({ id }) => id),
      );
      for (const [n, { logprob }] of top.entries()) assert.ok(Math.abs(logprob - best[n]!.logprob) < 1e-9);
    }),
  );
});

test('numbers of a row are the same at every run, and others for another seed, row or choice', () => {
  const first = (seed: number, row: number, choice: number) => {
    const random = new Random({ seed, row, choice });
    return [random.next(), random.next(), random.next()];
  };
  assert.deepEqual(first(1, 2, 3), first(1, 2, 3));
  const others = [first(1, 2, 3), first(2, 2, 3), first(1, 3, 3), first(1, 2, 4), first(12, 2, 3), first(1, 22, 3)];
  assert.equal(new Set(others.flat()).size, 18);
  // Pinned: an output of another version must not differ in silence.
  assert.deepEqual(first(0, 0, 0), PINNED);
});

const PINNED = [0.41448036883593087, 0.22526293462319424, 0.5436894378960248];
