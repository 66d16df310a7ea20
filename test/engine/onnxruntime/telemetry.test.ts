/** Nothing that an engine does leaves the machine, or a file in the user's folders: whole commands and programs are watched. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../../scripts/make-model.js';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import { TANDEM } from '../../cli/tandem-process.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-telemetry-'));
before(async () => {
  makeOnnx('mlp', join(folder, 'onnx'), { layers: 2, hidden: 4 });
  await makeModel('mlp', join(folder, 'tfjs'), { width: 4, blocks: 1, length: 4 });
  writeFileSync(join(folder, 'rows.jsonl'), '[1,2,3,4]\n');
});
after(() => rmSync(folder, { recursive: true }));

const does = (program: string, ...args: string[]) => {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const hasNamespaces = does('unshare', '-n', 'true');
const hasTrace = does('strace', '-f', '-o', '/dev/null', 'true');

interface Watched {
  /** Files that lie in what is the user's home, cache and temporary folder afterwards, without tandem's own cache. */
  readonly left: string[];
  /** System calls that ask for a network; `null` where nobody can tell. */
  readonly calls: string[] | null;
}

/** Runs a command with a home of its own, without a network where that can be had, and outside of anything that says it is a build machine. */
async function watch(args: readonly string[], env: Record<string, string> = {}): Promise<Watched> {
  const home = mkdtempSync(join(folder, 'home-'));
  const at = (name: string) => join(home, name);
  for (const name of ['cache', 'tmp', 'work']) mkdirSync(at(name));
  const own = Object.entries(process.env).filter(([name]) => /^(PATH|LANG|LD_LIBRARY_PATH)$/.test(name));
  const trace = join(folder, 'trace');
  const command = [
    ...(hasNamespaces ? ['unshare', '-n'] : []),
    ...(hasTrace ? ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=socket,connect,sendto,sendmsg'] : []),
    process.execPath,
    ...args,
  ];
  const child = spawn(command[0]!, command.slice(1), {
    cwd: at('work'),
    env: { ...Object.fromEntries(own), HOME: home, XDG_CACHE_HOME: at('cache'), TMPDIR: at('tmp'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (told += text));
  const [status] = await once(child, 'close');
  assert.equal(status, 0, told);
  const files = readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(home.length + 1));
  const calls = hasTrace ? readFileSync(trace, 'utf8').split('\n') : null;
  return {
    left: files.filter((name) => !/^cache\/tandem\/|^work\/o\.jsonl(\.journal)?$/.test(name)),
    // The system's own name for it; sockets between processes of this machine are no network.
    calls: calls?.filter((call) => /AF_INET|nscd|resolve/.test(call)) ?? null,
  };
}

const run = (model: string, ...flags: string[]) => {
  const rows = join(folder, 'rows.jsonl');
  return [TANDEM, 'run', join(folder, model), '-i', rows, '-o', 'o.jsonl', '-s', 'cpu', ...flags];
};
const source = () => `
  import { openPipeline } from '${new URL('../../../src/index.js', import.meta.url).href}';
  const pipeline = await openPipeline('${join(folder, 'onnx')}', { isolation: 'thread' });
  for await (const { outputs } of pipeline.run([[1, 2, 3, 4]])) console.log(outputs);
  await pipeline.close();`;
const script = (text: string) => ['--input-type=module', '-e', text];

const WATCHED: Record<string, () => string[]> = {
  'a run whose stages are threads': () => run('onnx', '--isolation', 'thread', '--plan', 'quick'),
  'a run whose stages are processes': () => run('onnx', '-s', 'cpu', '--isolation', 'process', '--plan', 'quick'),
  'a run that measures first': () => run('onnx', '-s', 'cpu'),
  'a run in TensorFlow': () => run('tfjs', '--plan', 'quick'),
  'a program that opens a pipeline': () => script(source()),
  'a program that opens a pipeline in a worker of its own': () => {
    writeFileSync(join(folder, 'program.mjs'), source());
    writeFileSync(
      join(folder, 'starter.mjs'),
      `import { Worker } from 'node:worker_threads';\nnew Worker(new URL('program.mjs', import.meta.url));`,
    );
    return [join(folder, 'starter.mjs')];
  },
  'the check of an engine by doctor and setup': () =>
    script(`
      import { probeEngine } from '${new URL('../../../src/setup/probe.js', import.meta.url).href}';
      const { works } = await probeEngine('onnxruntime', 'cpu');
      if (!works) process.exit(1);`),
};

for (const [name, args] of Object.entries(WATCHED)) {
  test(`no file of an engine's is left, and nobody asks for a network: ${name}`, async (t) => {
    const { left, calls } = await watch(args());
    assert.deepEqual(left, []);
    if (calls) assert.deepEqual(calls, []);
    else t.diagnostic('there is no strace here: only files were looked for');
  });
}

test('ORT_DISABLE_TELEMETRY=0 turns the telemetry of ONNX Runtime on, which shows what is looked for here', {
  skip: !hasNamespaces && 'a network namespace of its own cannot be had, and nothing is to be sent',
}, async () => {
  const { left } = await watch(WATCHED['a run whose stages are threads']!(), { ORT_DISABLE_TELEMETRY: '0' });
  assert.ok(left.length > 0);
});
