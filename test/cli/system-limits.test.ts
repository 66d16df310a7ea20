/** Where the system gives no more files, processes or memory, the command says which limit it met and how it is raised. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { systemLimitOf } from '../../src/system-limits.js';

/** As it is published: hundreds of files of modules would meet the limit before the command begins. */
const BUNDLE = resolve(import.meta.dirname, '../../bundle/src/cli/tandem.js');
const FAIL = new URL('../../src/cli/fail.js', import.meta.url).href;
const folder = mkdtempSync(join(tmpdir(), 'tandem-limits-'));
before(() => {
  makeOnnx('mlp', join(folder, 'model'), { layers: 4, hidden: 4 });
  writeFileSync(join(folder, 'rows.jsonl'), '[1,2,3,4]\n');
  chmodSync(folder, 0o755);
});
after(() => rmSync(folder, { recursive: true }));

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const noPrlimit = !has('prlimit', '--version') && 'there is no prlimit here';
const isRoot = process.getuid?.() === 0;
/** Root is not held to a number of processes. */
const asNobody = isRoot ? ['setpriv', '--reuid=61234', '--regid=61234', '--clear-groups'] : [];
/** Not `setpriv` alone: what it starts itself may still lie where only root comes. */
const asThere = [...asNobody, 'prlimit', '--nproc=4096', process.execPath, BUNDLE, '--version'];
const canBeNobody = has(asThere[0]!, ...asThere.slice(1));
const noProcessLimit = noPrlimit || (!canBeNobody && 'root has no such limit, and nobody else can run this');

/** Runs a job of one row in two stages under a limit. */
function runUnder(limit: string, isolation: string, prefix: readonly string[] = []) {
  const work = mkdtempSync(join(folder, 'work-'));
  chmodSync(work, 0o777);
  const args = [
    'run',
    join(folder, 'model'),
    '-i',
    join(folder, 'rows.jsonl'),
    '-o',
    'out.jsonl',
    '-q',
    '--plan',
    'quick',
  ];
  const stages = ['-s', 'cpu,threads=1,layers=0..3', '-s', 'cpu,threads=1,layers=4..7', '--isolation', isolation];
  const [program, ...rest] = [...prefix, 'prlimit', limit, process.execPath, BUNDLE, ...args, ...stages];
  const env = { PATH: process.env.PATH, HOME: work, XDG_CACHE_HOME: work, TMPDIR: work };
  const { status, stderr } = spawnSync(program!, rest, { cwd: work, env, encoding: 'utf8', timeout: 120_000 });
  return { status, stderr };
}

/** Files that Node itself has open, its look at them included. */
const filesOfNode = Number(
  spawnSync(process.execPath, ['-p', "fs.readdirSync('/proc/self/fd').length"], { encoding: 'utf8' }).stdout,
);

/** What a run says first, unless Node could not even read the command; engines may warn before. */
const SAYS = /^tandem: /m;
const SAYS_LIMIT = /^tandem: no more files can be opened: .* \[TANDEM_SYSTEM_LIMIT\]\n {8}raise the limit.*ulimit -n/m;

suite('too few files', { skip: noPrlimit }, () => {
  for (const isolation of ['thread', 'process']) {
    test(`${isolation}: the run ends with 78 and the reason, or succeeds`, () => {
      const limits = Array.from({ length: 24 }, (_, more) => filesOfNode - 4 + more);
      const met = limits.map((limit) => ({ limit, ...runUnder(`--nofile=${limit}`, isolation) }));
      const begun = met.slice(met.findIndex(({ status, stderr }) => status === 0 || SAYS.test(stderr)));
      for (const { limit, status, stderr } of begun) {
        if (status === 0) continue;
        assert.equal(status, 78, `${limit}: ${stderr}`);
        assert.match(stderr, SAYS_LIMIT, `${limit}`);
        assert.doesNotMatch(stderr, /^\s+at /m);
      }
      // From what is too little for the command's own modules to what is enough for the run.
      assert.deepEqual([begun[0]!.status, begun.at(-1)!.status], [78, 0]);
      assert.match(begun[0]!.stderr, /tandem cannot be loaded/);
    });
  }
});

test('what breaks while no more files can be opened is not called a bug', { skip: noPrlimit }, () => {
  const print = `(await import(${JSON.stringify(FAIL)})).printError(new Error('an assertion within Node'))`;
  const args = [process.execPath, '--input-type=module', '-e', print];
  const messages = [filesOfNode + 8, 256].map((files) => {
    const { stderr } = spawnSync('prlimit', [`--nofile=${files}`, ...args], { encoding: 'utf8' });
    return stderr;
  });
  assert.match(messages[0]!, /an assertion within Node \[TANDEM_SYSTEM_LIMIT\]\n.*ulimit -n/);
  assert.match(messages[1]!, /an assertion within Node \[TANDEM_INTERNAL\]/);
});

test('too few threads: a worker that cannot start is reported with the limit', { skip: noProcessLimit }, () => {
  // With fewer Node itself aborts before the command begins; that is no status.
  const met = [12, 13, 14, 16].map((count) => runUnder(`--nproc=${count}`, 'thread', asNobody));
  for (const { status, stderr } of met) {
    assert.ok([0, 78, null].includes(status), `${status}: ${stderr}`);
    if (status === 78) assert.match(stderr, /no more processes or threads can be started: .*ulimit -u/s);
  }
  assert.ok(met.some(({ status }) => status !== null));
});

for (const isolation of ['thread', 'process']) {
  test(`code from strings may be forbidden by Node's own flag: ${isolation}`, () => {
    const args = [
      '--disallow-code-generation-from-strings',
      BUNDLE,
      'run',
      'model',
      '-i',
      'rows.jsonl',
      '-o',
      `${isolation}.jsonl`,
    ];
    const flags = ['-s', 'cpu', '--isolation', isolation, '--plan', 'quick', '-q'];
    const { status, stderr } = spawnSync(process.execPath, [...args, ...flags], { cwd: folder, encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
  });
}

test('errors of the system are known for limits by their codes, also behind others', () => {
  const error = (code: string, syscall = '', message = '') => Object.assign(new Error(message), { code, syscall });
  assert.match(systemLimitOf(new Error('a worker', { cause: error('EMFILE') }))!.remedy, /ulimit -n/);
  assert.match(systemLimitOf(error('EAGAIN', 'spawn node'))!.remedy, /ulimit -u/);
  assert.match(systemLimitOf(error('ENOMEM', 'spawn'))!.remedy, /ulimit -v/);
  assert.match(systemLimitOf(error('ERR_WORKER_INIT_FAILED', '', 'EAGAIN'))!.remedy, /ulimit -u/);
  const unread = 'Cannot read package config /a/package.json: too many open files.';
  assert.match(systemLimitOf(error('ERR_INVALID_PACKAGE_CONFIG', '', unread))!.remedy, /ulimit -n/);
  assert.equal(systemLimitOf(error('ERR_INVALID_PACKAGE_CONFIG', '', 'Invalid package config')), undefined);
  assert.equal(systemLimitOf(error('EAGAIN', 'read')), undefined);
  assert.equal(systemLimitOf('EMFILE'), undefined);
});
