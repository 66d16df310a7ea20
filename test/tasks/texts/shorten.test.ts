/** Cutting and splitting keep the special tokens, lose nothing that fits, and cut the longer text first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutTo, splitInto, type Tokens } from '../../../src/tasks/texts/shorten.js';

/** `[CLS] a… [SEP] b… [SEP]` with ids by position. */
function pairOf(first: number, second: number): Tokens {
  const texts = [null, ...Array(first).fill(0), null, ...(second > 0 ? [...Array(second).fill(1), null] : [])];
  return { ids: texts.map((_, n) => n), types: texts.map((_, n) => (n > first + 1 ? 1 : 0)), texts };
}

const bodyOf = ({ ids, texts }: Tokens, text: number) => ids.filter((_, n) => texts[n] === text);

test('a cut text has as many tokens as the limit lets, from its beginning; of a pair the longer one is cut', () => {
  const arbitrary = fc.tuple(fc.nat(20), fc.nat(20), fc.integer({ min: 5, max: 40 }));
  fc.assert(
    fc.property(arbitrary, ([first, second, limit]) => {
      const tokens = pairOf(first, second);
      const cut = cutTo(tokens, limit);
      assert.equal(cut.ids.length, Math.min(limit, tokens.ids.length));
      assert.deepEqual(
        cut.ids.filter((_, n) => cut.texts[n] === null),
        tokens.ids.filter((_, n) => tokens.texts[n] === null),
      );
      const lengths = [0, 1].map((text) => {
        const body = bodyOf(cut, text);
        assert.deepEqual(body, bodyOf(tokens, text).slice(0, body.length));
        return body.length;
      });
      const [shorter, longer] = first <= second ? [0, 1] : [1, 0];
      const isWhole = lengths[shorter] === Math.min(first, second);
      assert.ok(isWhole || Math.abs(lengths[0]! - lengths[1]!) <= 1, `${first}, ${second} to ${limit}: ${lengths}`);
      assert.ok(lengths[longer]! >= lengths[shorter]!);
    }),
  );
});

test('parts together are the text, each overlaps the one before as asked, and none is within another', () => {
  const arbitrary = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 4, max: 20 }), fc.nat(16));
  fc.assert(
    fc.property(arbitrary, ([length, limit, wanted]) => {
      const overlap = Math.min(wanted, limit - 3);
      const tokens = pairOf(length, 0);
      const parts = splitInto(tokens, limit, overlap).map((part) => {
        assert.ok(part.ids.length <= limit);
        return bodyOf(part, 0);
      });
      const joined = parts.flatMap((part, n) => (n === 0 ? part : part.slice(overlap)));
      assert.deepEqual(joined, bodyOf(tokens, 0));
      for (const [n, part] of parts.slice(1).entries()) {
        assert.deepEqual(part.slice(0, overlap), parts[n]!.slice(parts[n]!.length - overlap));
        assert.ok(part.length > overlap);
      }
    }),
  );
});
