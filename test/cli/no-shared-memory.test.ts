/** Where processes cannot share memory, as on Windows: stages are threads, of both engines, with budgets and without, whatever is planned. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { tempFolder } from '../fixtures/temp-folder.js';
import { tandem } from './tandem-process.js';

const PRELOAD = pathToFileURL(resolve(import.meta.dirname, '../../../test/fixtures/no-shared-memory.mjs')).href;

const rows = Buffer.from(new Float32Array(64 * 16).map((_, n) => Math.sin(n)).buffer);

for (const [engine, make] of [
  ['onnxruntime', makeOnnx],
  ['tfjs', makeModel],
] as const) {
  test(`${engine}: a job runs in threads, with budgets and planned by measuring too, and has the same answers`, async (t) => {
    const at = tempFolder(t);
    await make('mlp', at('mlp'));
    writeFileSync(at('rows.npy'), npyBytes({ descr: '<f4', shape: [64, 16], data: rows }));
    const run = async (out: string, env: Record<string, string>, ...stages: string[]) => {
      const args = ['run', 'mlp', '-i', 'rows.npy', '-o', out, '--micro-batch', '8', ...stages];
      const { status, stderr } = await tandem(args, { cwd: at(''), env: { XDG_CACHE_HOME: at('cache'), ...env } });
      assert.equal(status, 0, stderr);
      return { bytes: readFileSync(at(out)), stderr };
    };
    const without = { NODE_OPTIONS: `--import ${PRELOAD}` };
    const stage = ['--stage', 'cpu,threads=1,memory=1GiB'];
    const right = await run('right.npy', {}, ...stage);
    const held = await run('held.npy', without, ...stage, ...stage);
    const measured = await run('measured.npy', { ...without, TANDEM_PLAN: 'auto' }, ...stage, ...stage);
    assert.deepEqual(held.bytes, right.bytes);
    assert.deepEqual(measured.bytes, right.bytes);
    const plan = await tandem(['plan', 'mlp', '-i', 'rows.npy'], {
      cwd: at(''),
      env: { XDG_CACHE_HOME: at('cache'), ...without },
    });
    assert.equal(plan.status, 0, plan.stderr);
    assert.match(plan.stderr, /processes that share memory, which this system does not have/);
    assert.match(held.stderr, /threads/);
  });
}
