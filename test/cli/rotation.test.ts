/** Stages that rotate, from a shell: the bytes of a plan that holds everything at the same cuts, also when their process dies; what is refused. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import type { PlanFile } from '../../src/plan/plan-file.js';
import { noProc } from '../fixtures/children.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-rotation-'));
const at = (name: string) => join(cwd, name);
const ROTATING = 'cpu,threads=1,memory=2GiB,rotate=always';
before(() => {
  makeOnnx('mlp', at('mlp'), { layers: 6, hidden: 16 });
  makeRows(at('rows.npy'), 90, [16]);
});
after(() => rmSync(cwd, { recursive: true }));

type Summary = { stages: { loads: number; loadingSeconds: number; loadedBytes: number }[] };

async function runPlan(name: string, plan: PlanFile): Promise<Summary> {
  writeFileSync(at(`${name}.json`), JSON.stringify(plan));
  const args = ['run', 'mlp', '-i', 'rows.npy', '-o', `${name}.npy`, '--plan', `${name}.json`, '--json', '-q'];
  const { status, stdout, stderr } = await tandem(args, { cwd });
  assert.equal(status, 0, stderr);
  return JSON.parse(String(stdout));
}

suite('rotation', { skip: noProc }, () => {
  test('each pass is loaded once for each block, and the bytes are those of a plan that holds everything', async () => {
    const args = ['plan', 'mlp', '-i', 'rows.npy', '-b', '4', '--output', 'plan.json'];
    for (const stages of [[ROTATING], [ROTATING, ROTATING]]) {
      const { status, stdout, stderr } = await tandem([...args, ...stages.flatMap((stage) => ['-s', stage])], { cwd });
      assert.equal(status, 0, stderr);
      const file = JSON.parse(readFileSync(at('plan.json'), 'utf8')) as PlanFile;
      const { block } = file.plan;
      const rotating = file.plan.stages.map(({ passes = [], resident = passes.length }) => passes.length - resident);
      assert.ok(Math.max(...rotating) >= 2, 'of two passes one takes the place of the other');
      assert.match(
        String(stdout),
        new RegExp(`stage \\d rotates, to keep to 2.0 GiB: .* block of ${block} micro-batches`),
      );
      const rotated = await runPlan('rotated', file);
      assert.deepEqual(
        rotated.stages.map(({ loads }) => loads),
        rotating.map((passes) => passes * Math.ceil(Math.ceil(90 / 4) / block!)),
      );
      const loaded = rotated.stages.filter(({ loads }) => loads > 0);
      assert.ok(loaded.every(({ loadingSeconds, loadedBytes }) => loadingSeconds > 0 && loadedBytes > 0));
      const held = file.plan.stages.map(({ resident, ...stage }) => stage);
      const { block: _, ...plan } = file.plan;
      const { stages: all } = await runPlan('held', { ...file, plan: { ...plan, stages: held } });
      assert.ok(all.every(({ loads }) => loads === 0));
      assert.ok(readFileSync(at('rotated.npy')).equals(readFileSync(at('held.npy'))));
      rmSync(at('rotated.npy'));
      rmSync(at('held.npy'));
    }
  });

  test('a process that dies between two passes, or while it loads one, changes no byte', async () => {
    const stage = ROTATING.replace('cpu', 'cpu,provider=custom');
    const run = async (name: string, deaths: object) => {
      mkdirSync(at(name));
      const env = {
        TANDEM_ENGINE_MODULE: new URL('../fixtures/dying-engine.js', import.meta.url).href,
        TANDEM_TEST_DEATHS: JSON.stringify(deaths),
        TANDEM_TEST_MOMENTS: at(name),
      };
      const args = ['run', 'mlp', '-i', 'rows.npy', '-o', `${name}/out.npy`, '-b', '4', '-s', stage, '-q'];
      const { status, stderr } = await tandem(args, { cwd, env });
      assert.equal(status, 0, stderr);
      return readFileSync(at(`${name}/out.npy`));
    };
    const whole = await run('whole', {});
    for (const [n, deaths] of [{ run3: 2 }, { run2: 1, load: 2 }].entries()) {
      assert.ok((await run(`dies-${n}`, deaths)).equals(whole));
    }
  });

  test('what cannot rotate is refused by name, before anything runs', async () => {
    const refuse = async (stages: readonly string[], says: RegExp, status = 2, code = 'TANDEM_USAGE') => {
      const args = ['run', 'mlp', '-i', 'rows.npy', '-o', 'refused.npy', ...stages.flatMap((stage) => ['-s', stage])];
      assertFails(await tandem(args, { cwd }), { status, code, says });
    };
    await refuse(['cpu,rotate=often'], /rotate=often is not known .*\n.*rotate=auto/);
    await refuse(
      ['cpu,rotate=auto'],
      /stage 0 has rotate=auto and no memory=.*\n.*--stage cpu,rotate=auto,memory=2GiB/,
    );
    await refuse([`${ROTATING},layers=0..1`, 'cpu'], /and layers=; which of its layers rotate/);
    await refuse([`${ROTATING},workers=2`], /and 2 workers/);
    await refuse([`${ROTATING}+cpu`], /one of several replicas/);
    await refuse(['cpu,memory=20MiB,rotate=auto'], /give each stage memory=\d+MiB/, 78, 'TANDEM_PLAN_IMPOSSIBLE');
  });
});
