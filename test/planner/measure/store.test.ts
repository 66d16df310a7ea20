/** The store: read back only for the same subject, and harmless if nothing can be written. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import { makeRows } from '../../../scripts/make-rows.js';
import { readStored, store } from '../../../src/planner/measure/store.js';
import { tandem } from '../../cli/tandem-process.js';

let folder: string;
let cacheBefore: string | undefined;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-store-'));
  cacheBefore = process.env.XDG_CACHE_HOME;
  writeFileSync(join(folder, 'file'), '');
  makeOnnx('mlp', join(folder, 'mlp'), { layers: 3 });
  makeRows(join(folder, 'rows.npy'), 40, [16]);
});
after(() => {
  if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheBefore;
  rmSync(folder, { recursive: true });
});

/** Folders that nobody can write, root included: in the kernel's own tree, and below a file. */
const UNREACHABLE = { 'in the kernel’s tree': () => '/sys', 'below a file': () => join(folder, 'file') };

test('a stored value is read for the same subject only, and not by another major version of Node', () => {
  process.env.XDG_CACHE_HOME = join(folder, 'kept');
  const subject = { model: 'm' };
  assert.equal(store('profiles', subject, { seconds: 1 }), null);
  assert.deepEqual(readStored('profiles', subject), { seconds: 1 });
  assert.equal(readStored('profiles', { model: 'n' }), null);
  assert.equal(readStored('plans', subject), null);

  const profiles = join(folder, 'kept/tandem/profiles');
  const [name] = readdirSync(profiles);
  const file = join(profiles, name!);
  const held = JSON.parse(readFileSync(file, 'utf8'));
  assert.equal(held.of.node, process.versions.node.split('.')[0]);
  writeFileSync(file, JSON.stringify({ ...held, of: { ...held.of, node: '19' } }));
  assert.equal(readStored('profiles', subject), null);
});

for (const [where, place] of Object.entries(UNREACHABLE)) {
  test(`a cache ${where} stores nothing and throws nothing`, () => {
    process.env.XDG_CACHE_HOME = place();
    assert.match(store('plans', { model: 'm' }, {})!, /cannot be written: E/);
    assert.equal(readStored('plans', { model: 'm' }), null);
  });

  test(`a measured plan with a cache ${where} is made all the same, and one line warns that it is not kept`, async () => {
    const env = { XDG_CACHE_HOME: place(), TANDEM_PLAN: 'auto' };
    const planned = await tandem(['plan', 'mlp', '-b', '8'], { cwd: folder, env });
    assert.equal(planned.status, 0, planned.stderr);
    assert.match(planned.stdout.toString(), /rows\/s measured in a trial/);
    assert.equal(planned.stderr.match(/is not kept for the next run/g)?.length, 1, planned.stderr);
  });
}

test('a home that is not a folder does not stop a run', async () => {
  const env = { XDG_CACHE_HOME: '', HOME: '/dev/null', TANDEM_PLAN: 'auto' };
  const ran = await tandem(['run', 'mlp', '-i', 'rows.npy', '-o', 'out.npy', '-b', '8'], { cwd: folder, env });
  assert.equal(ran.status, 0, ran.stderr);
});
