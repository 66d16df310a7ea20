/** Texts of tokens that come one by one, against the text of all tokens at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StopTexts } from '../../../src/tasks/generate/stop-texts.js';
import { TextStream, type TokenTexts } from '../../../src/tasks/generate/text-stream.js';

/** Tokens 0 to 255 are a byte each, 256 and above a few bytes; 300 is special. Undecodable bytes become U+FFFD, as in the library. */
const MORE = new Map<number, readonly number[]>([
  [256, [...Buffer.from('the')]],
  [257, [...Buffer.from(' 中').subarray(0, 3)]],
  [258, [...Buffer.from('中文').subarray(2)]],
  [259, [...Buffer.from('é')]],
]);
const texts: TokenTexts = {
  text: (ids) => Buffer.from(ids.flatMap((id) => (id === 300 ? [] : (MORE.get(id) ?? [id])))).toString('utf8'),
};

const characters = fc
  .string({ unit: 'binary', maxLength: 12 })
  .map((text) => [...Buffer.from(text.toWellFormed(), 'utf8')]);
const ids = fc
  .array(
    fc.oneof(
      characters,
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 12 }),
      fc.constantFrom([256], [257, 258], [259], [300], [257]),
    ),
    {
      maxLength: 10,
    },
  )
  .map((parts) => parts.flat());
const prompts = fc.string({ maxLength: 10 }).map((text) => [...Buffer.from(text.toWellFormed(), 'utf8')]);

test('all pieces together are the text of all tokens, and no piece breaks a character', () => {
  fc.assert(
    fc.property(prompts, ids, (prompt, answer) => {
      const stream = new TextStream(texts, prompt);
      const pieces = answer.map((id) => stream.add(id));
      const all = pieces.join('') + stream.end();
      assert.equal(all, texts.text([...prompt, ...answer]).slice(texts.text(prompt).length));
      for (const piece of pieces) assert.ok(piece.isWellFormed());
    }),
    { numRuns: 2000 },
  );
});

test('a character of four tokens comes whole with its last', () => {
  const stream = new TextStream(texts, []);
  assert.deepEqual(
    [...Buffer.from('a😀b')].map((byte) => stream.add(byte)),
    ['a', '', '', '', '😀', 'b'],
  );
});

test('bytes that are no text do not wait for ever', () => {
  const stream = new TextStream(texts, []);
  const pieces = Array.from({ length: 100 }, () => stream.add(0xff));
  assert.ok(pieces.join('').length > 80);
  assert.equal(pieces.join('') + stream.end(), '\ufffd'.repeat(100));
});

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '😀'), maxLength: 5 });

test('a text ends before the first stop text, wherever its pieces are parted', () => {
  fc.assert(
    fc.property(
      fc.array(letters, { maxLength: 12 }),
      fc.array(
        letters.filter((text) => text !== ''),
        { maxLength: 3 },
      ),
      (pieces, stops) => {
        const stopTexts = new StopTexts(stops);
        let given = '';
        let read = '';
        for (const piece of pieces) {
          if (stopTexts.stopped) break;
          read += piece;
          given += stopTexts.add(piece);
        }
        const places = stops.map((stop) => read.indexOf(stop)).filter((at) => at >= 0);
        assert.equal(stopTexts.stopped, places.length > 0);
        // As soon as it could be known.
        const before = read.slice(0, read.length - 1);
        if (pieces.every((piece) => [...piece].length <= 1)) assert.ok(stops.every((stop) => !before.includes(stop)));
        given += stopTexts.end();
        assert.equal(given, places.length > 0 ? read.slice(0, Math.min(...places)) : read);
      },
    ),
    { numRuns: 2000 },
  );
});
