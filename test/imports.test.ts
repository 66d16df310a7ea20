/** The house holds: imports go one way by rank, files are named by their concept, and each begins with one sentence. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

/** Ranks of the rooms; a file imports its own room or a strictly lower rank. */
const RANKS: Record<string, number> = {
  'src/check-runtime': 1,
  'src/crc32': 0,
  'src/errors': 0,
  'src/liveness': 0,
  'src/grouped-digits': 0,
  'src/nearest-name': 0,
  'src/out-of-files': 0,
  'src/package': 0,
  'src/parquet-messages': 0,
  'src/runtime': 0,
  'src/shell-word': 0,
  'src/sums': 0,
  'src/text-file': 0,
  'src/system-limits': -1,
  'src/tensor': 1,
  'src/machine': 2,
  'src/model': 2,
  'src/arena': 2,
  'src/engine': 3,
  'src/lock': 3,
  'src/schedule': 3,
  'src/pool': 4,
  'src/plan': 5,
  'src/rows': 5,
  'src/output': 6,
  'src/tasks': 7,
  'src/timeline': 6,
  'src/pipeline': 7,
  'src/planner': 8,
  'src/decoder': 8,
  'src/bench': 9,
  'src/job': 9,
  'src/report': 8,
  'src/prove': 9.5,
  'src/setup': 9,
  'src/cluster': 10,
  'src/cli': 11,
  'src/index': 11,
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

test('workers of stages import ranks 0 to 4, those of rows also rows and tasks, and nothing imports workers', () => {
  const wrong: string[] = [];
  for (const file of filesIn('workers')) {
    for (const target of importsOf(file)) {
      const room = roomOf(target);
      const isOfRows = file === 'workers/rows-worker.ts' && (room === 'src/rows' || room === 'src/tasks');
      if (!target.startsWith('workers/') && RANKS[room]! > 4 && !isOfRows) wrong.push(`${file} imports ${target}`);
    }
  }
  for (const file of [...filesIn('src'), ...filesIn('scripts')]) {
    for (const target of importsOf(file)) if (target.startsWith('workers/')) wrong.push(`${file} imports ${target}`);
  }
  assert.deepEqual(wrong, []);
});

test('no import goes in a circle, those of types included', () => {
  const files = [...filesIn('src'), ...filesIn('workers')];
  const circles = circlesIn(new Map(files.map((file) => [file, importsOf(file).map(sourceOf)])));
  assert.deepEqual(circles, []);
  const circle = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', ['a']],
    ['d', ['d']],
  ]);
  assert.deepEqual(circlesIn(circle), ['a > b > c > a', 'd > d'], 'it finds those that are there');
});

function sourceOf(target: string): string {
  return target.replace(/\.js$/, '.ts');
}

/** A way round for each file from which one leads back to a file on it. */
function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]) => {
    const from = path.indexOf(file);
    if (from >= 0) circles.push([...path.slice(from), file].join(' > '));
    if (from >= 0 || done.has(file)) return;
    for (const target of graph.get(file) ?? []) walk(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
  return circles;
}

test('a start loads nothing that only some runs need: no schemas, no frames of processes, no server, no planner', () => {
  const some = /^zod|^msgpackr|^node:http|planner\/settle\.|tasks\//;
  const seen = new Set([
    'src/cli/tandem.ts',
    'src/cli/command-line.ts',
    'src/cli/run-flags.ts',
    'src/cli/run.ts',
    'workers/stage-worker.ts',
  ]);
  for (const file of seen) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, path] of text.matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?'([^']+)';/gm)) {
      assert.doesNotMatch(path!, some, `${file} loads it`);
      if (path!.startsWith('.'))
        seen.add(relative(root, resolve(dirname(join(root, file)), path!)).replace(/\.js$/, '.ts'));
    }
  }
  assert.ok(seen.size > 50, 'the walk reaches more than the first files');
});

test('no file has the name of a collection', () => {
  const collections = /(^|\/)(utils?|commons?|helpers?|types?|misc)(\/|\.ts$)/;
  assert.deepEqual(
    [...filesIn('src'), ...filesIn('workers'), ...filesIn('scripts')].filter((file) => collections.test(file)),
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

test('every numbered invariant is cited by a test, and no test cites one that does not exist', () => {
  const checked: string[] = [];
  for (const file of filesIn('src')) {
    const block = /\* Invariants\n([\s\S]*?)\n \*(?:\n|\/)/.exec(readFileSync(join(root, file), 'utf8'));
    if (!block) continue;
    const name = file.replace(/^src\//, '').replace(/\.ts$/, '');
    const stated = [...block[1]!.matchAll(/^ \* (I\d+) /gm)].map((match) => match[1]!);
    const tests = readFileSync(join(root, 'test', `${name}.test.ts`), 'utf8');
    const cited = [...tests.matchAll(new RegExp(`['\`]${name} (I\\d+)[:,]`, 'g'))].map((match) => match[1]!);
    assert.deepEqual([...new Set(cited)].sort(), stated.sort(), `invariants of ${file}`);
    checked.push(file);
  }
  const stating = filesIn('src').filter((file) => /^ \* I\d+ /m.test(readFileSync(join(root, file), 'utf8')));
  assert.deepEqual(checked, stating, 'each block is found, whether text follows it or not');
});

test('Atomics are called in slot, wait-queue, wake-up and safepoint only', () => {
  const callers = filesIn('src').filter((file) => /\bAtomics\./.test(readFileSync(join(root, file), 'utf8')));
  assert.deepEqual(callers, [
    'src/arena/slot.ts',
    'src/arena/wait-queue.ts',
    'src/arena/wake-up.ts',
    'src/pool/safepoint.ts',
  ]);
});
