/** Where tandem is started: runtimes, folders, permissions and streams that will not do are named before anything is done. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { transformSync } from 'esbuild';
import { makeOnnx } from '../scripts/make-onnx.js';
import { oldNode, runtimeName } from '../src/runtime.js';
import { assertFails, start, TANDEM, tandem } from './cli/tandem-process.js';

const root = resolve(import.meta.dirname, '../..');
const cwd = mkdtempSync(join(tmpdir(), 'tandem-runtime-'));
const RUN = ['run', 'mlp', '-i', 'x.jsonl', '-q', '--stage', 'cpu'];
const UNSUPPORTED = 'TANDEM_RUNTIME_UNSUPPORTED';
const isLinux = process.platform === 'linux';

before(() => {
  makeOnnx('mlp', join(cwd, 'mlp'), { layers: 1, hidden: 2 });
  writeFileSync(join(cwd, 'x.jsonl'), '[1,2]\n[3,4]\n');
});
after(() => rmSync(cwd, { recursive: true }));

/** Through a shell, which closes streams and removes folders. */
const shell = (command: string) => start('sh', ['-c', command, process.execPath, TANDEM, ...RUN], { cwd }).ended;

test('the oldest Node is the one that package.json promises', () => {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const oldest = engines.node.replace('>=', '');
  for (const version of [`${oldest}.0`, '20.20.1', '24.1.0', '26.0.0']) {
    assert.equal(oldNode(version), null, version);
  }
  for (const version of ['12.22.12', '18.20.8', '20.0.0', '20.18.3']) {
    assert.match(oldNode(version)!.message, new RegExp(`this is Node ${version}; tandem needs Node ${oldest}`));
  }
});

test('another runtime is called by its own name', () => {
  assert.equal(runtimeName({ node: '24.3.0', bun: '1.3.0' } as unknown as NodeJS.ProcessVersions), 'Bun 1.3.0');
  assert.equal(runtimeName({ node: '24.3.0', deno: '2.4.0' } as unknown as NodeJS.ProcessVersions), 'Deno 2.4.0');
  assert.equal(runtimeName(), `Node ${process.versions.node}`);
});

test('an old Node can read the door of the command line, and link the library as far as its check', () => {
  const door = readFileSync(join(root, 'dist/bundle/src/cli/tandem.js'), 'utf8');
  assert.doesNotMatch(door, /^import /m);
  const [plain, old] = ['esnext', 'node12.22'].map((target) => transformSync(door, { target, format: 'esm' }).code);
  assert.equal(plain, old, 'nothing in it is newer than Node 12');
  const library = readFileSync(join(root, 'dist/bundle/src/behind/index.js'), 'utf8');
  assert.match(library, /runtimeProblem\(\)/);
  // What a module of Node is asked for by name must be there when modules are linked, before any of them can say why not.
  for (const [, names] of library.matchAll(/^import \{([^}]*)\} from "node:/gm)) assert.doesNotMatch(names!, /crc32/);
});

suite('the reason is printed', { concurrency: 2 }, () => {
  test('in a folder that has been removed', async () => {
    mkdirSync(join(cwd, 'gone'));
    const ended = await shell('cd gone && rmdir ../gone && exec "$0" "$@" -o out.jsonl');
    assertFails(ended, { status: 78, code: UNSUPPORTED, says: /working folder.*\n.*cd ~/ });
  });

  test("under Node's permission model", async () => {
    const isOld = spawnSync(process.execPath, ['--permission', '-e', ''], { encoding: 'utf8' }).status !== 0;
    const model = [isOld ? '--experimental-permission' : '--permission', '--no-warnings', '--allow-fs-read=*'];
    const tried = (...flags: string[]) =>
      start(process.execPath, [...model, ...flags, TANDEM, ...RUN, '-o', 'denied.jsonl'], { cwd }).ended;
    assertFails(await tried(), { status: 78, code: UNSUPPORTED, says: /denies.*worker, child.*\n.*--allow-worker/ });
    const more = ['--allow-worker', '--allow-child-process'];
    const says = /permission model forbids it.*\n.*--allow-fs-write/;
    assertFails(await tried(...more), { status: 73, code: 'TANDEM_OUTPUT_FAILED', says });
  });

  test('without addons', async () => {
    const { ended } = start(process.execPath, ['--no-addons', TANDEM, ...RUN, '-o', 'addons.jsonl'], { cwd });
    assertFails(await ended, { status: 78, code: 'TANDEM_ENGINE_MISSING', says: /\n.*without --no-addons/ });
  });

  test('with a closed stdout where the rows go there', { skip: !isLinux }, async () => {
    const says = /stdout is closed.*\n.*--output FILE/;
    assertFails(await shell('exec "$0" "$@" -o - >&-'), { status: 73, code: 'TANDEM_OUTPUT_FAILED', says });
    assertFails(await shell('exec "$0" "$@" -o - >&- <&-'), { status: 73, code: 'TANDEM_OUTPUT_FAILED', says });
  });

  test('closed streams that nothing needs are no error', async () => {
    for (const [n, streams] of ['>&-', '2>&-', '>&- 2>&-', '<&- >&- 2>&-', '>/dev/null'].entries()) {
      const { status, stderr } = await shell(`exec "$0" "$@" -o closed-${n}.jsonl ${streams}`);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, streams);
      assert.equal(
        readFileSync(join(cwd, `closed-${n}.jsonl`), 'utf8')
          .trimEnd()
          .split('\n').length,
        2,
      );
    }
    const { status, stdout } = await shell('exec "$0" "$@" -o - 2>&-');
    assert.deepEqual([status, stdout.toString().trimEnd().split('\n').length], [0, 2]);
    assert.equal((await shell('exec "$0" "$@" -o - >/dev/null')).status, 0);
  });
});

/** What would be kept there is not kept, and nothing else changes. */
test('a home or a cache that cannot be one ends no run and no doctor', { skip: !isLinux }, async () => {
  const places: Record<string, string>[] = [
    { HOME: '/dev/null', XDG_CACHE_HOME: '' },
    { HOME: join(cwd, 'nobody'), XDG_CACHE_HOME: '' },
    { XDG_CACHE_HOME: join(cwd, 'x.jsonl') },
  ];
  for (const [n, env] of places.entries()) {
    const ran = await tandem([...RUN, '-o', `home-${n}.jsonl`], { cwd, env });
    assert.deepEqual({ status: ran.status, stderr: ran.stderr }, { status: 0, stderr: '' });
  }
  const env = places.at(-1)!;
  const measured = await tandem([...RUN, '-o', 'measured.jsonl'], { cwd, env: { ...env, TANDEM_PLAN: 'auto' } });
  assert.deepEqual({ status: measured.status, stderr: measured.stderr }, { status: 0, stderr: '' });
  const setup = await tandem(['setup', 'tensorflow', '--force', '--no-gpu'], { cwd, env });
  if (!/is not installed/.test(setup.stderr)) {
    const says = /not a folder.*\n.*XDG_CACHE_HOME/;
    assertFails(setup, { status: 78, code: 'TANDEM_SETUP_FAILED', says });
  }
  const { status, stdout } = await tandem(['doctor'], { cwd, env });
  assert.equal(status, 0);
  assert.match(stdout.toString(), /onnxruntime +ok/);
});
