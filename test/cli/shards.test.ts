/** `tandem run --shard i/n` and `tandem merge` as a scheduler types them: each task is a process of its own, the last one merges, and what was killed is resumed. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-shard-cli-'));
const at = (name: string) => join(cwd, name);
const JOB = ['mlp', '-i', 'rows.jsonl', '-b', '8', '-s', 'cpu,threads=1', '--isolation', 'thread'];
const run = (...args: string[]) => tandem(['run', ...JOB, ...args], { cwd });

before(async () => {
  makeOnnx('mlp', at('mlp'), { layers: 2, hidden: 4 });
  const lines = Array.from({ length: 100 }, (_, n) =>
    n % 11 === 3 ? '{"inputs":{"x":[1]}}' : `{"inputs":{"x":[${n},1,2,${n / 7}]}}`,
  );
  writeFileSync(at('rows.jsonl'), lines.join('\n'));
  const { status, stderr } = await run('-o', 'whole.npy');
  assert.equal(status, 65, stderr);
});
after(() => rmSync(cwd, { recursive: true }));

const isMerged = (name: string) => {
  assert.ok(readFileSync(at(name)).equals(readFileSync(at('whole.npy'))), 'the bytes of one machine');
  assert.equal(readFileSync(at(`${name}.errors.jsonl`), 'utf8'), readFileSync(at('whole.npy.errors.jsonl'), 'utf8'));
};

test('tasks in any order, two of them at once: the last one to end merges, and a task that runs again has nothing to do', async () => {
  const first = await run('-o', 'out.npy', '--shard', '2/3');
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /shard 2 of 3 is committed: 36 rows, 3 rows failed.*\n.*2 of 3 shards are not done yet/s);
  assert.ok(!existsSync(at('out.npy')));
  const both = await Promise.all(['0/3', '1/3'].map((shard) => run('-o', 'out.npy', '--shard', shard)));
  for (const { status, stderr } of both) assert.equal(status, 0, stderr);
  assert.ok(
    both.some(({ stderr }) => /100 rows of 3 shards from .* in .*out\.npy, 9 rows failed/.test(stderr)),
    both.map(({ stderr }) => stderr).join('\n'),
  );
  isMerged('out.npy');
  const again = await run('-o', 'out.npy', '--shard', '0/3');
  assert.equal(again.status, 0, again.stderr);
  isMerged('out.npy');
});

test('merged by hand: refused while a shard is missing, exit status 65 for failed rows, 0 with --allow-errors', async () => {
  const one = await run('-o', 'hand.npy', '--shard', '0/2', '--no-merge');
  assert.equal(one.status, 0, one.stderr);
  const early = await tandem(['merge', 'hand.npy'], { cwd });
  assertFails(early, { status: 75, code: 'TANDEM_SHARDS_MISSING' });
  assert.match(early.stderr, /--shard 1\/2/);
  const two = await run('-o', 'hand.npy', '--shard', '1/2', '--no-merge');
  assert.equal(two.status, 0, two.stderr);
  assert.ok(!existsSync(at('hand.npy')));
  const merged = await tandem(['merge', 'hand.npy', '--json'], { cwd });
  assert.equal(merged.status, 65, merged.stderr);
  const summary = JSON.parse(merged.stdout.toString());
  assert.deepEqual([summary.rows, summary.failedRows, summary.shards], [100, 9, 2]);
  isMerged('hand.npy');
  assert.equal((await tandem(['merge', 'hand.npy', '--allow-errors'], { cwd })).status, 0);
});

test('what cannot be is refused before anything runs', async () => {
  assertFails(await run('-o', 'x.npy', '--shard', '3/3'), { status: 2, code: 'TANDEM_USAGE' });
  assertFails(await run('-o', 'x.npy', '--store', 'there'), { status: 2, code: 'TANDEM_USAGE' });
  assertFails(await run('-o', '-', '--shard', '0/2'), { status: 2, code: 'TANDEM_SHARDS_UNSUPPORTED' });
  assertFails(await tandem(['merge', 'nothing.npy'], { cwd }), { status: 75, code: 'TANDEM_SHARDS_MISSING' });
});
