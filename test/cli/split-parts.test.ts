/** `tandem embed --long split:…,parts` as a person types it: an embedding for each part of a text, the same that the part has as a text of its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-split-parts-'));
const at = (name: string) => join(cwd, name);
const run = (...args: string[]) => tandem([...args, '--isolation', 'thread', '--stage', 'cpu'], { cwd });
const WORDS = 'the a good bad film plot is not very with this and it'.split(' ');
const textOf = (n: number) => Array.from({ length: (n * 7) % 61 }, (_, k) => WORDS[(n * 5 + k) % WORDS.length]!);
/** 16 tokens with the two special ones; a part begins 4 before the end of the one before. */
const [ROOM, OVERLAP] = [14, 4];
const TEXTS = Array.from({ length: 60 }, (_, n) => textOf(n));

function partsOf(words: readonly string[]): string[] {
  const parts: string[] = [];
  for (let start = 0; start === 0 || start + OVERLAP < words.length; start += ROOM - OVERLAP) {
    parts.push(words.slice(start, start + ROOM).join(' '));
  }
  return words.length <= ROOM ? [words.join(' ')] : parts;
}

before(() => {
  makeTextModel(at('embedder'));
  makeTextModel(at('classifier'), { kind: 'classify' });
  writeFileSync(at('texts.jsonl'), TEXTS.map((words) => `${JSON.stringify({ text: words.join(' ') })}\n`).join(''));
  writeFileSync(
    at('parts.jsonl'),
    TEXTS.flatMap(partsOf)
      .map((text) => `${JSON.stringify({ text })}\n`)
      .join(''),
  );
});
after(() => rmSync(cwd, { recursive: true }));

const embeddings = (file: string) =>
  readFileSync(at(file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).outputs.embedding);

test('a row has a list of embeddings, one for each part, and how many texts were split is told', async () => {
  const args = ['embed', 'embedder', '-i', 'texts.jsonl', '--long', 'split:16,overlap=4,parts', '-o', 'out.jsonl'];
  const { status, stderr } = await run(...args);
  assert.equal(status, 0, stderr);
  const split = TEXTS.filter((words) => words.length > ROOM).length;
  assert.match(stderr, new RegExp(`${split} texts were split into parts\\n`));
  assert.equal((await run('embed', 'embedder', '-i', 'parts.jsonl', '-o', 'alone.jsonl', '-q')).status, 0);
  const found = embeddings('out.jsonl') as number[][][];
  assert.deepEqual(
    found.map((parts) => parts.length),
    TEXTS.map((words) => partsOf(words).length),
  );
  const alone = embeddings('alone.jsonl') as number[][];
  for (const [n, values] of found.flat().entries()) {
    for (const [i, value] of values.entries()) assert.ok(Math.abs(value - alone[n]![i]!) < 1e-5, `part ${n}`);
  }
});

test('a format of equal rows, and labels, are refused before anything runs', async () => {
  const long = ['--long', 'split:16,parts'];
  assertFails(await run('embed', 'embedder', '-i', 'texts.jsonl', ...long, '-o', 'no.npy'), {
    ...{ status: 2, code: 'TANDEM_OUTPUT_UNSUPPORTED' },
    says: /output embedding is one row for each part of a text/,
  });
  assertFails(await run('classify', 'classifier', '-i', 'texts.jsonl', ...long, '-o', 'no.jsonl'), {
    ...{ status: 2, code: 'TANDEM_USAGE' },
    says: /parts are for embed/,
  });
});
