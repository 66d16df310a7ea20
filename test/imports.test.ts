/** The house holds: imports go one way by rank, files are named by their concept, and each begins with one sentence. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

/** Ranks of the rooms; a file imports its own room or a strictly lower rank. */
const RANKS: Record<string, number> = {
  'src/errors': 0,
  'src/lock-file': 0,
  'src/package': 0,
  'src/processor': 0,
  'src/sums': 0,
  'src/tensor': 1,
  'src/model': 2,
  'src/arena': 2,
  'src/engine': 3,
  'src/pool': 4,
  'src/plan': 5,
  'src/pipeline': 6,
  'src/bench': 7,
  'src/job': 7,
  'src/report': 7,
  'src/setup': 7,
  'src/cli': 8,
  'src/index': 8,
};

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function roomOf(file: string): string {
  const [top, second] = file.replace(/\.(ts|js)$/, '').split('/');
  return top === 'src' ? `src/${second}` : top!;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
  return found.map((path) => relative(root, resolve(dirname(join(root, file)), path)));
}

test('every import goes to its own room or to a lower rank', () => {
  const wrong: string[] = [];
  for (const file of filesIn('src')) {
    const room = roomOf(file);
    assert.ok(room in RANKS, `${file} lies in a room without a rank`);
    for (const target of importsOf(file)) {
      const other = roomOf(target);
      if (other !== room && !(RANKS[other]! < RANKS[room]!)) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('workers import ranks 0 to 4, and nothing imports workers', () => {
  const wrong: string[] = [];
  for (const file of filesIn('workers')) {
    for (const target of importsOf(file)) {
      if (!target.startsWith('workers/') && RANKS[roomOf(target)]! > 4) wrong.push(`${file} imports ${target}`);
    }
  }
  for (const file of [...filesIn('src'), ...filesIn('scripts')]) {
    for (const target of importsOf(file)) if (target.startsWith('workers/')) wrong.push(`${file} imports ${target}`);
  }
  assert.deepEqual(wrong, []);
});

test('a start loads nothing that only some runs need: no schemas, no frames of processes, no server, no planner', () => {
  const some = /^zod|^msgpackr|^node:http|settle-plan/;
  const seen = new Set(['src/cli/tandem.ts', 'src/cli/run-flags.ts', 'src/cli/run.ts', 'workers/stage-worker.ts']);
  for (const file of seen) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, path] of text.matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?'([^']+)';/gm)) {
      assert.doesNotMatch(path!, some, `${file} loads it`);
      if (path!.startsWith('.'))
        seen.add(relative(root, resolve(dirname(join(root, file)), path!)).replace(/\.js$/, '.ts'));
    }
  }
  assert.ok(seen.size > 50, 'the walk goes on');
});

test('no file is an attic', () => {
  const attics = /(^|\/)(utils?|commons?|helpers?|types?|misc)(\/|\.ts$)/;
  assert.deepEqual(
    [...filesIn('src'), ...filesIn('workers'), ...filesIn('scripts')].filter((file) => attics.test(file)),
    [],
  );
});

test('every file begins with a sentence that says what it is', () => {
  const silent = [...filesIn('src'), ...filesIn('workers'), ...filesIn('scripts'), ...filesIn('test')].filter(
    (file) => {
      const text = readFileSync(join(root, file), 'utf8').replace(/^#!.*\n/, '');
      return !text.startsWith('/**');
    },
  );
  assert.deepEqual(silent, []);
});

test('every numbered invariant is cited by a test, and no test cites one that is gone', () => {
  for (const file of filesIn('src')) {
    const block = /\* Invariants\n([\s\S]*?)\n \*\n/.exec(readFileSync(join(root, file), 'utf8'));
    if (!block) continue;
    const name = file.replace(/^src\//, '').replace(/\.ts$/, '');
    const stated = [...block[1]!.matchAll(/^ \* (I\d+) /gm)].map((match) => match[1]!);
    const tests = readFileSync(join(root, 'test', `${name}.test.ts`), 'utf8');
    const cited = [...tests.matchAll(new RegExp(`'${name} (I\\d+):`, 'g'))].map((match) => match[1]!);
    assert.deepEqual([...new Set(cited)].sort(), stated.sort(), `invariants of ${file}`);
  }
});

test('Atomics are called in slot, bell and waking only', () => {
  const callers = filesIn('src').filter((file) => /\bAtomics\./.test(readFileSync(join(root, file), 'utf8')));
  assert.deepEqual(callers, ['src/arena/bell.ts', 'src/arena/slot.ts', 'src/arena/waking.ts']);
});
