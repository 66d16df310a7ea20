/** A stage's process that dies before the first row is as little trouble as one that dies later; whatever hangs then ends at a signal. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { noProc } from '../fixtures/children.js';
import { assertFails, type Ended, programFor, start, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-death-'));
before(() => {
  makeOnnx('mlp', join(cwd, 'mlp'), { layers: 4, hidden: 8 });
  makeRows(join(cwd, 'rows.npy'), 40, [8]);
});
after(() => rmSync(cwd, { recursive: true }));

type Deaths = Readonly<Record<string, number | 'hang'>>;

/** A command on the dying engine, with a cache and an account of its own. */
function command(name: string, deaths: Deaths, ...flags: string[]) {
  const folder = mkdtempSync(join(cwd, `${name}-`));
  const env = {
    TANDEM_ENGINE_MODULE: new URL('../fixtures/dying-engine.js', import.meta.url).href,
    TANDEM_TEST_DEATHS: JSON.stringify(deaths),
    TANDEM_TEST_MOMENTS: folder,
    XDG_CACHE_HOME: folder,
  };
  const output = join(folder, 'out.npy');
  const args = ['run', 'mlp', '-i', 'rows.npy', '-o', output, '-b', '4', '-q', ...flags];
  const count = (moment: string) => statSync(join(folder, moment), { throwIfNoEntry: false })?.size ?? 0;
  /** Settles once the moment has come so often. */
  const comes = async (moment: string, times: number, ended: Promise<Ended>) => {
    const watcher = watch(folder);
    const over = ended.then(({ stderr }) => {
      throw new Error(`it ended before "${moment}": ${stderr}`);
    });
    over.catch(() => {});
    try {
      while (count(moment) < times) await Promise.race([once(watcher, 'change'), over]);
    } finally {
      watcher.close();
    }
  };
  return { args, env, output, folder, count, comes };
}

const BY_HAND = [
  '-s',
  'cpu,provider=custom,layers=0..1',
  '-s',
  'cpu,provider=custom,layers=2..3',
  '--isolation',
  'process',
];
/** A budget is measured whatever the job's length. */
const MEASURED = ['-s', 'cpu,provider=custom,memory=2GiB', '-s', 'cpu,provider=custom,memory=2GiB', '--plan', 'auto'];
const CUT = ['-s', 'cpu,provider=custom', '-s', 'cpu,provider=custom', '--isolation', 'process', '--plan', 'quick'];

let expected: Promise<Buffer> | undefined;
async function undisturbed(): Promise<Buffer> {
  const { args, env, output } = command('undisturbed', {}, ...BY_HAND);
  const { status, stderr } = await tandem(args, { cwd, env });
  assert.equal(status, 0, stderr);
  return readFileSync(output);
}

const ways: [string, string[], Deaths][] = [
  ['with layers named', BY_HAND, { open: 1, load: 2, run1: 1, run3: 1 }],
  [
    'with a budget, whose stages are warmed up',
    BY_HAND.map((flag) => flag.replace('layers', 'memory=2GiB,layers')),
    { load: 1, run1: 2 },
  ],
  ['cut by counting, after the model was described', CUT, { describe: 2, load: 1, run2: 1 }],
  ['that measures first', MEASURED, { describe: 1, load: 1, run1: 1, run3: 1 }],
];

suite('a stage is killed while it starts', { concurrency: 2, skip: noProc }, () => {
  for (const [name, flags, deaths] of ways) {
    test(`and the run ${name} ends with the same bytes`, async () => {
      const { args, env, output, count } = command('killed', deaths, ...flags);
      const { status, stderr } = await tandem(args, { cwd, env });
      assert.deepEqual([status, stderr], [0, '']);
      for (const [moment, times] of Object.entries(deaths)) assert.ok(count(moment) > Number(times), moment);
      expected ??= undisturbed();
      assert.deepEqual(readFileSync(output), await expected);
    });
  }

  const hopeless: [string, string[], string, RegExp][] = [
    [
      'each time that it loads',
      BY_HAND,
      'load',
      /killed by SIGKILL \(perhaps because memory ran out\) while loading, 5 times in a row/,
    ],
    ['each time that the model is described', CUT, 'describe', /while describing the model, 5 times/],
    ['each time that it is measured', MEASURED, 'run1', /while it was measured, 5 times/],
  ];
  for (const [name, flags, moment, says] of hopeless) {
    test(`${name}: it is given up with 75, and what was claimed is let go`, async () => {
      const { args, env, folder } = command('hopeless', { [moment]: 1e9 }, ...flags);
      const ended = await tandem(args, { cwd, env });
      assertFails(ended, { status: 75, code: 'TANDEM_STAGE_LOST', says });
      assert.deepEqual(
        readdirSync(folder).filter((file) => file.startsWith('out')),
        [],
      );
    });
  }
});

test('the command is killed while a stage that was started again still loads, and no process is left', {
  skip: noProc,
}, async () => {
  const { args, env, comes } = command('orphans', { open: 2, load: 'hang' }, ...BY_HAND);
  const { child, ended } = start(process.execPath, [programFor(env), ...args], { cwd, env });
  await comes('load', 2, ended);
  child.kill('SIGKILL');
  // Which sees to it that nobody is left.
  assert.equal((await ended).status, 137);
});

suite('a signal', { concurrency: 2, skip: noProc }, () => {
  const moments: [string, string[], string, 'SIGINT' | 'SIGTERM'][] = [
    ['loads', BY_HAND, 'load', 'SIGINT'],
    ['loads in a thread', BY_HAND.map((flag) => flag.replace('process', 'thread')), 'load', 'SIGTERM'],
    ['warms up', BY_HAND.map((flag) => flag.replace('layers', 'memory=2GiB,layers')), 'run1', 'SIGTERM'],
    ['describes the model', CUT, 'describe', 'SIGINT'],
    ['is measured', MEASURED, 'run1', 'SIGTERM'],
  ];
  for (const [name, flags, moment, signal] of moments) {
    test(`${signal} ends a run whose stage ${name}, and the lock is let go`, async () => {
      const { args, env, comes, folder } = command('signal', { [moment]: 'hang' }, ...flags);
      const { child, ended } = start(process.execPath, [programFor(env), ...args], { cwd, env });
      await comes(moment, 1, ended);
      child.kill(signal);
      const { status: found, stderr } = await ended;
      assert.deepEqual(
        [found, stderr],
        [signal === 'SIGINT' ? 130 : 143, 'tandem: stopping; a second signal stops at once\n'],
      );
      assert.ok(!existsSync(join(folder, 'out.npy.lock')));
    });
  }
});

test('Node that has nothing left to do does not end a command that waits in silence, nor keep its lock', async () => {
  const preload = new URL('../../../test/fixtures/quiet-threads.mjs', import.meta.url).href;
  const output = join(cwd, 'quiet.npy');
  const flags = ['--plan', 'quick', '-q', '-s', 'cpu', '-s', 'cpu', '--isolation', 'thread'];
  const env = { NODE_OPTIONS: `--import=${preload}` };
  const ended = await tandem(['run', 'mlp', '-i', 'rows.npy', '-o', output, ...flags], { cwd, env });
  assertFails(ended, { status: 1, code: 'TANDEM_INTERNAL', says: /ended without an answer/ });
  assert.ok(!existsSync(`${output}.lock`));
});
