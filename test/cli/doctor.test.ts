/** `tandem doctor` on this machine, and its table. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { Diagnosis } from '../../src/cli/diagnosis.js';
import { diagnose, formatDiagnosis } from '../../src/cli/doctor.js';

const root = resolve(import.meta.dirname, '../../..');

test('on a machine that is set up, both CPU engines are tried and work', async () => {
  const { ok, checks } = await diagnose();
  assert.equal(ok, true);
  const states = new Map(checks.map(({ name, state }) => [name, state]));
  for (const name of ['node', 'cores', 'memory', 'onnxruntime', 'tensorflow', 'tfjs wasm'])
    assert.equal(states.get(name), 'ok', name);
  for (const name of [
    'shared memory',
    'tensorflow-gpu',
    'tfjs webgpu',
    'onnxruntime webgpu',
    'nvidia driver',
    'python',
    'compiler',
  ])
    assert.ok(states.has(name));
  for (const { name, state, remedy } of checks)
    if (state === 'missing') assert.ok(remedy, `${name} is missing without a remedy`);
});

const EXAMPLE: Diagnosis = {
  schema: 1,
  ok: false,
  checks: [
    { name: 'node', state: 'ok', found: '22.1.0 on linux x64' },
    { name: 'tensorflow', state: 'missing', found: 'installed, not linked', remedy: 'npx tandem setup tensorflow' },
  ],
};

test('the table is aligned, and what to type stands under it', () => {
  assert.equal(
    formatDiagnosis(EXAMPLE, (line) => line),
    `what        state    found
node        ok       22.1.0 on linux x64
tensorflow  missing  installed, not linked

What to type:
  tensorflow: npx tandem setup tensorflow

No engine works here yet: tandem cannot run a model.`,
  );
});

test('where no engine works it still answers, in JSON too, and ends with 78', (t) => {
  // The compiled code beside commander only: no engine package can be found from there.
  const folder = mkdtempSync(join(tmpdir(), 'tandem-doctor-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'dist', 'src'), join(folder, 'dist', 'src'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(join(root, 'node_modules', 'commander'), join(folder, 'node_modules', 'commander'));
  const entry = JSON.stringify(`file://${join(folder, 'dist', 'src', 'cli', 'doctor.js')}`);
  const script = `import(${entry}).then((m) => m.doctorCommand().parseAsync(['--json'], { from: 'user' }))`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(status, 78, stderr);
  const { ok, checks } = JSON.parse(stdout) as Diagnosis;
  assert.equal(ok, false);
  const tensorflow = checks.find(({ name }) => name === 'tensorflow');
  assert.equal(tensorflow?.state, 'missing');
  assert.equal(tensorflow?.remedy, 'npx tandem setup tensorflow');
});
