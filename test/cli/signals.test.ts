/** Ctrl-C and SIGTERM: the first one drains, the second one ends at once, and neither leaves a process or a half file behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { Interrupted, stopOnSignals } from '../../src/cli/signals.js';
import { TandemError } from '../../src/errors.js';
import { type Started, start, TANDEM } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-signals-'));
const windows = process.platform === 'win32' && 'Windows has no signals';
const linux = existsSync('/proc/self/stat') ? false : 'stages are found through /proc, which only Linux has';

/** Two stages in processes, a row at a time. */
const SPLIT = ['-b', '1', '-s', 'cpu,layers=0..0', '-s', 'cpu,layers=1..1'];
const ROW = '[1,2]\n';

before(() => makeModel('mlp', join(cwd, 'mlp'), { width: 4, blocks: 1, length: 2 }));
after(() => rmSync(cwd, { recursive: true }));

const run = (...args: string[]) => start(process.execPath, [TANDEM, 'run', 'mlp', ...args], { cwd, detached: true });
const filesOf = (name: string) => readdirSync(cwd).filter((file) => file.startsWith(name));

/** Settles when the file in `cwd` has something in it. */
async function written(name: string): Promise<void> {
  const watcher = watch(cwd);
  try {
    const size = () => statSync(join(cwd, name), { throwIfNoEntry: false })?.size ?? 0;
    while (size() === 0) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

/** The stages of a running command. */
function stagesOf({ child }: Started): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // The name in parentheses may hold anything; what follows it is state and parent.
        return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]) === child.pid;
      } catch {
        return false;
      }
    });
}

suite('a run', { concurrency: 2, skip: windows }, () => {
  test('that waits for rows stops at Ctrl-C; what was done lies under another name', async () => {
    const { child, ended } = run('-i', '-', '-o', 'drained.jsonl', '--json', ...SPLIT);
    child.stdin!.write(ROW.repeat(3));
    await written('drained.jsonl.partial');
    // A terminal sends it to the stages too.
    process.kill(-child.pid!, 'SIGINT');
    const { status, stdout, stderr } = await ended;
    assert.equal(status, 130, stderr);
    const { stopped, output } = JSON.parse(String(stdout));
    assert.deepEqual({ stopped, output }, { stopped: true, output: null });
    assert.match(stderr, /\ntandem: stopping once the rows in flight are finished; a second signal stops at once\n/);
    assert.match(stderr, /\ntandem: stopped before the end; what was done lies in drained\.jsonl\.partial\n$/);
    assert.deepEqual(filesOf('drained'), ['drained.jsonl.partial']);
    const done = readFileSync(join(cwd, 'drained.jsonl.partial'), 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      done.map((line) => JSON.parse(line).id),
      [0, 1, 2].slice(0, done.length),
    );
  });

  test('stops at SIGTERM with 143, between rows that never end', async () => {
    const { child, ended } = run('-i', '-', '-o', '-', '-q', '-s', 'cpu', '--isolation', 'thread', '-b', '1');
    const feed = () => {
      while (child.stdin!.write(ROW.repeat(1000)));
    };
    child.stdin!.on('drain', feed);
    feed();
    await once(child.stdout!, 'data');
    child.kill('SIGTERM');
    const { status, stdout, stderr } = await ended;
    assert.equal(status, 143, stderr);
    assert.equal(stderr, 'tandem: stopping once the rows in flight are finished; a second signal stops at once\n');
    const ids = String(stdout)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id);
    assert.deepEqual(ids, [...ids.keys()], 'what was in flight has been finished, and nothing is torn');
  });

  test('whose stages hang ends at the second signal, and they end with it', { skip: linux }, async () => {
    const started = run('-i', '-', '-o', 'hung.jsonl', ...SPLIT);
    const { child } = started;
    child.stdin!.write(ROW.repeat(50_000));
    await written('hung.jsonl.partial');
    const stages = stagesOf(started);
    assert.equal(stages.length, 2);
    // From here on nothing that is in flight can be finished.
    for (const pid of stages) process.kill(pid, 'SIGSTOP');
    child.kill('SIGINT');
    await started.says('a second signal stops at once');
    child.kill('SIGINT');
    await once(child, 'exit');
    for (const pid of stages) process.kill(pid, 'SIGCONT');
    const { status } = await started.ended;
    assert.equal(status, 130);
    assert.ok(!filesOf('hung').includes('hung.jsonl'));
  });

  test('that waits for its first row has nothing to finish', async () => {
    const { child, ended } = run('-i', '-', '-o', 'waiting.jsonl');
    // A pipe holds less than this: once it is taken, somebody reads.
    await new Promise((taken) => child.stdin!.write(`[${'0,'.repeat(200_000)}`, taken));
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    assert.deepEqual({ status, stderr }, { status: 130, stderr: 'tandem: stopping; a second signal stops at once\n' });
    assert.deepEqual(filesOf('waiting'), []);
  });

  for (const isolation of ['process', 'thread']) {
    test(`that still loads its stages (${isolation}) ends as promptly, and takes its files away`, async () => {
      const started = run('-i', '-', '-o', `${isolation}.jsonl`, ...SPLIT, '--isolation', isolation);
      started.child.stdin!.write(ROW);
      await started.says('in flight');
      started.child.kill('SIGINT');
      const { status, stderr } = await started.ended;
      assert.equal(status, 130, stderr);
      assert.match(stderr, /\ntandem: stopping; a second signal stops at once\n$/);
      assert.deepEqual(filesOf(isolation), []);
    });
  }
});

test('a step that a signal overtakes is left where it is; errors of its own pass', { skip: windows }, async () => {
  let stops = 0;
  const signals = stopOnSignals(() => {
    stops += 1;
  });
  // A signal's listener alone does not keep a process waiting.
  const alive = setInterval(() => {}, 1000);
  try {
    assert.equal(await signals.race(Promise.resolve(7)), 7);
    await assert.rejects(signals.race(Promise.reject(new TandemError('TANDEM_USAGE', 'no'))), { code: 'TANDEM_USAGE' });
    assert.equal(signals.exitCode, null);
    const race = signals.race(new Promise(() => {}));
    process.kill(process.pid, 'SIGTERM');
    await assert.rejects(race, Interrupted);
    assert.deepEqual([signals.exitCode, signals.signal.aborted, stops], [143, true, 1]);
  } finally {
    clearInterval(alive);
    signals.release();
  }
  assert.equal(process.listenerCount('SIGTERM'), 0);
});
