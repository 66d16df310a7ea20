/** Lines are the same for any chunks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesOf, TOO_LONG } from '../../../src/rows/json/jsonl-lines.js';

async function split(chunks: readonly Uint8Array[], maxBytes = 1000): Promise<string[]> {
  const lines: string[] = [];
  const stream = (async function* () {
    yield* chunks;
  })();
  for await (const line of linesOf(stream, { maxBytes, where: 'rows' })) {
    lines.push(line === TOO_LONG ? '<too long>' : line.toString().trimEnd());
  }
  return lines;
}

const TEXT = Buffer.from('\ufeff{"a":1}\r\n\n  \t\r\n"zwölf €"\n\n[1,\r2]\r\nlast');
const LINES = ['{"a":1}', '"zwölf €"', '[1,\r2]', 'last'];

test('a byte order mark, CRLF, blank lines and a last line without an end', async () => {
  assert.deepEqual(await split([TEXT]), LINES);
  assert.deepEqual(await split([Buffer.concat([TEXT, Buffer.from('\n')])]), LINES);
  assert.deepEqual(await split([]), []);
  assert.deepEqual(await split([Buffer.from('\ufeff')]), []);
});

test('chunk boundaries do not matter, at any byte', async () => {
  for (let at = 0; at <= TEXT.length; at++) {
    assert.deepEqual(await split([TEXT.subarray(0, at), TEXT.subarray(at)]), LINES, `cut at ${at}`);
  }
  assert.deepEqual(await split([...TEXT].map((byte) => Uint8Array.of(byte))), LINES);
});

test('a line that is too long is skipped, and only that line', async () => {
  const text = Buffer.from(`short\n${'x'.repeat(50)}\nnext\n${'y'.repeat(10)}\n`);
  const expected = ['short', '<too long>', 'next', 'y'.repeat(10)];
  for (let size = 1; size <= text.length; size++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < text.length; at += size) chunks.push(text.subarray(at, at + size));
    assert.deepEqual(await split(chunks, 10), expected, `chunks of ${size}`);
  }
});

test('UTF-16 is refused, not misread', async () => {
  await assert.rejects(split([Buffer.from('\ufeff{"a":1}\n', 'utf16le')]), {
    code: 'TANDEM_INPUT_INVALID',
    message: 'rows is UTF-16 text',
  });
});

test('any text splits into the same lines in any chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', ' ', '\r', '\n', 'é') }), { maxLength: 8 }),
      async (parts) => {
        const whole = parts.join('');
        const expected = whole
          .split('\n')
          .map((line) => line.trimEnd())
          .filter((line) => line !== '');
        assert.deepEqual(await split(parts.map((part) => Buffer.from(part))), expected);
      },
    ),
  );
});
