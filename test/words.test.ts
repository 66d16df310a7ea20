/** The house's old home-made words do not come back: each has a word of the field, and stands only where a stable format has it as a field. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

/** Each pattern with the field's word; `where` are files in which a persisted or printed format has the word as a field. */
const OLD: readonly { readonly word: RegExp; readonly now: string; readonly where?: RegExp }[] = [
  { word: /\bcrews?\b|\bbeside each other\b|\bstands? beside\b/i, now: 'replicas of a stage' },
  { word: /\bin turn\b|\btakes? turns\b/i, now: 'sequential, round-robin or interleaved' },
  { word: /\bstaffings?\b/i, now: 'allocation' },
  { word: /\brehearsals?\b|\bcontenders?\b|\brivals?\b/i, now: 'trial, candidate, alternative' },
  { word: /\bforesees?\b|\bforeseen\b/i, now: 'infer shapes' },
  {
    word: /\bseals?\b|\bsealed\b/i,
    now: 'forbidden cuts; for files: finished',
    where: /^(src|test)\/output\/|^src\/cli\/resume\.ts$/,
  },
  { word: /\bthe wall\b(?! clock)/i, now: 'the thread or process boundary' },
  { word: /\bgone on with\b|\bwhat is gone\b/i, now: 'resumed' },
  { word: /\bpoison(ed|s)?\b/i, now: 'bad rows, bad-row search' },
  { word: /\brelief\b/i, now: 'out-of-memory split' },
  { word: /\brevivals?\b|\bbringBack\b/i, now: 'restart' },
  { word: /\bstandby\b/i, now: 'pre-started workers' },
  { word: /\btakeoffs?\b/i, now: 'attempt' },
  { word: /\bbury\b|\bburied\b|\bepitaphs?\b|\bgraves?\b/i, now: 'on exit, exit reason, stale lock' },
  {
    word: /\bverdicts?\b/i,
    now: 'recommendation, kill reason',
    where:
      /^(src|test)\/(bench|report)\/|^(src|test)\/cli\/(print-bench|bench-record|bench)\.|^src\/prove\/proof-record\.|^bench\//,
  },
  { word: /\bpatience\b/i, now: 'timeout' },
  { word: /\b(door)?bells?\b|\bjoints?\b|\bwaking\b|\brung\b/i, now: 'wait queue, wake-up, notify' },
  { word: /\bmade of software\b/i, now: 'software adapter' },
  {
    word: /\b(told|tells?|hears?|heard)\b(?! apart)/i,
    now: 'reports, records, prints, shows',
    // "Heard of" is printed by `tandem status`.
    where: /^(test|bench|scripts|src\/cluster|src\/tasks\/generate)\/|^src\/cli\/(status|print-queue)\.ts$/,
  },
  { word: /\bwhoever\b|\battics?\b|\bterrain\b/i, now: 'a literal sentence' },
];

/** This file has the words, and the demo's model is not ours. */
const LEFT_OUT = /^test\/words\.test\.ts$|^scripts\/demo\/(model|data)\//;

function filesIn(...tops: string[]): string[] {
  return tops
    .flatMap((top) =>
      /\.md$/.test(top)
        ? [top]
        : readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map((name) => join(top, name)),
    )
    .filter((name) => /\.(ts|mjs|md|html)$/.test(name) && !LEFT_OUT.test(name));
}

/** `file:line: word -> the field's word` for each old word in the text. */
function oldWordsIn(file: string, text: string): string[] {
  return text.split('\n').flatMap((line, n) =>
    OLD.flatMap(({ word, now, where }) => {
      const found = word.exec(line)?.[0];
      return found === undefined || where?.test(file) ? [] : [`${file}:${n + 1}: ${found} -> ${now}`];
    }),
  );
}

test('no file has an old word, and no file is named by one', () => {
  const files = filesIn(
    'src',
    'workers',
    'test',
    'scripts',
    'bench',
    'docs',
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
  );
  assert.ok(files.length > 500, `${files.length} files were read`);
  const found = files.flatMap((file) => [
    ...oldWordsIn(file, readFileSync(join(root, file), 'utf8')),
    ...oldWordsIn('', file.replaceAll(/[-./]/g, ' ')).map((word) => `the name ${file}: ${word}`),
  ]);
  assert.deepEqual(found, []);
});

test('an old word is found in any place but that of a stable field', () => {
  assert.deepEqual(oldWordsIn('src/pool/pool.ts', 'const a = 1;\n/** The Verdict of whoever. */'), [
    'src/pool/pool.ts:2: Verdict -> recommendation, kill reason',
    'src/pool/pool.ts:2: whoever -> a literal sentence',
  ]);
  assert.deepEqual(oldWordsIn('src/bench/result.ts', 'verdict: z.object({'), []);
});
