/** One output, and runs that start in other pid namespaces and under other host names, as in containers that share a folder. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { inNamespace, noNamespaces } from '../../scripts/kill-run/namespace.js';
import { childrenOf } from '../../scripts/kill-stages/processes.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { beginPaced, ENGINE, PACED, tandemPaced as tandem } from './paced-run.js';
import { assertFails, type Ended, programFor, start } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-hosts-'));
const at = (name: string) => join(cwd, name);
const KOFFI = resolve(import.meta.dirname, '../../../node_modules/koffi');
const ROWS = 1_500;

const argsFor = (output: string, input = 'rows.npy') => [
  ...['run', 'model', '-i', input, '-o', output, '-b', '1'],
  ...['--isolation', 'thread', '--stage', PACED, '-q'],
];
const filesOf = (name: string) => readdirSync(cwd).filter((file) => file.startsWith(name));

function elsewhere(host: string, args: readonly string[]): Promise<Ended> {
  const command = [...inNamespace({ host }), process.execPath, programFor(ENGINE), ...args];
  return start(command[0]!, command.slice(1), { cwd, env: ENGINE }).ended;
}

/** The number of the run itself, seen from here. */
const runOf = ({ child }: { child: { pid?: number } }) => childrenOf(child.pid!)[0]!;

/** While it exists, the run that writes `output` is slow. */
function gateOf(output: string): string {
  const gate = at(`slow-${output}`);
  writeFileSync(gate, '');
  return gate;
}

/** `pod-a`'s run, stopped in its middle. */
async function stopped(t: TestContext, output: string, host: string, without: readonly string[] = []) {
  const gate = gateOf(output);
  const run = await beginPaced(argsFor(output), gate, { cwd, output, through: inNamespace({ host, without }) });
  const pid = runOf(run);
  t.after(() => run.child.kill('SIGKILL'));
  process.kill(pid, 'SIGSTOP');
  return { ...run, pid, gate };
}

let whole: Buffer;
before(async () => {
  makeOnnx('mlp', at('model'), { layers: 2, hidden: 8 });
  makeRows(at('rows.npy'), ROWS, [8]);
  makeRows(at('other.npy'), 10, [8]);
  assert.equal((await tandem(argsFor('whole.jsonl'), { cwd })).status, 0);
  whole = readFileSync(at('whole.jsonl'));
});
after(() => rmSync(cwd, { recursive: true }));

test('a run that waits for a lease prints the holder and the time, and can be stopped', async () => {
  writeFileSync(at('waits.jsonl.lock'), JSON.stringify({ host: 'pod-a', pid: 7, started: '' }));
  const args = argsFor('waits.jsonl').filter((arg) => arg !== '-q');
  const run = start(process.execPath, [programFor(ENGINE), ...args], { cwd, env: ENGINE });
  await run.says('to see whether that process is alive');
  run.child.kill('SIGTERM');
  const { status, stderr } = await run.ended;
  assert.equal(status, 143, stderr);
  assert.match(
    stderr,
    /waits\.jsonl was being written by process 7 on pod-a, which renewed its lock \d+ s ago\nwaiting for at most \d+ s/,
  );
  assert.deepEqual(filesOf('waits'), ['waits.jsonl.lock']);
});

suite('an output that is written from another pid namespace', { skip: noNamespaces, concurrency: 2 }, () => {
  test('is refused to the second process, also with the same host name, and the first ends with its own rows', async (t) => {
    const first = await stopped(t, 'live.jsonl', hostname());
    const held = { status: 73, code: 'TANDEM_OUTPUT_EXISTS' };
    const says = new RegExp(`being written by process 1 on ${hostname()}, which renewed its lock \\d+ s ago`);
    for (const args of [argsFor('live.jsonl', 'other.npy'), ['resume', 'live.jsonl']]) {
      assertFails(await elsewhere(hostname(), args), { ...held, says });
    }
    assertFails(await tandem([...argsFor('live.jsonl', 'other.npy'), '--force-new'], { cwd }), { ...held, says });
    const told = await tandem(['status', 'live.jsonl'], { cwd });
    assert.match(
      String(told.stdout),
      new RegExp(`running \\(process 1 on ${hostname()}, heard of \\d.* ago\\), [\\d,]+ rows of`),
    );
    rmSync(first.gate);
    process.kill(first.pid, 'SIGCONT');
    const { status, stderr } = await first.ended;
    assert.equal(status, 0, stderr);
    assert.deepEqual(readFileSync(at('live.jsonl')), whole);
    assert.deepEqual(filesOf('live'), ['live.jsonl', 'live.jsonl.journal']);
  });

  for (const [verb, args] of Object.entries({
    'the same command': argsFor('dead.jsonl'),
    resume: ['resume', 'dead.jsonl', '-q'],
    '--force-new': [...argsFor('dead.jsonl'), '--force-new'],
  })) {
    const output = `dead-${verb.replace(/\W/g, '')}.jsonl`;
    const named = args.map((arg) => (arg === 'dead.jsonl' ? output : arg));
    test(`is taken over at once under another host name when its process was killed: ${verb}`, async (t) => {
      const first = await stopped(t, output, 'pod-a');
      process.kill(first.pid, 'SIGKILL');
      await first.ended;
      const told = await tandem(['status', output], { cwd });
      assert.match(String(told.stdout), /: stopped, [\d,]+ rows of/);
      const { status, stderr } = await elsewhere('pod-b', named);
      assert.equal(status, 0, stderr);
      assert.deepEqual(readFileSync(at(output)), whole);
      assert.deepEqual(filesOf(output), [output, `${output}.journal`]);
    });
  }

  test('is taken over when a lease is all there is and runs out; who wakes then writes nothing more', async (t) => {
    const first = await stopped(t, 'lease.jsonl', 'pod-a', [KOFFI]);
    utimesSync(at('lease.jsonl.lock'), 1, 1);
    const second = await beginPaced(['resume', 'lease.jsonl', '-q'], first.gate, {
      cwd,
      output: 'lease.jsonl',
      through: inNamespace({ host: 'pod-b' }),
    });
    const pid = runOf(second);
    t.after(() => second.child.kill('SIGKILL'));
    process.kill(pid, 'SIGSTOP');
    const files = filesOf('lease');
    process.kill(first.pid, 'SIGCONT');
    const told = await first.ended;
    assertFails(told, { status: 73, code: 'TANDEM_OUTPUT_TAKEN', says: /tandem status lease\.jsonl/ });
    assert.doesNotMatch(told.stderr, /is kept|lies in/);
    assert.deepEqual(filesOf('lease'), files);
    rmSync(first.gate);
    process.kill(pid, 'SIGCONT');
    const { status, stderr } = await second.ended;
    assert.equal(status, 0, stderr);
    assert.deepEqual(readFileSync(at('lease.jsonl')), whole);
    assert.deepEqual(filesOf('lease'), ['lease.jsonl', 'lease.jsonl.journal']);
  });
});
