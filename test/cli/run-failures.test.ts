/** What goes wrong once a run has begun: rows, disks and readers that fail, and a device that is not there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { readNvidiaDriver } from '../../src/machine/cards/nvidia.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { assertFails, start, TANDEM, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-fails-'));
const at = (name: string) => join(cwd, name);
/** The whole model in this process: it starts fastest. */
const QUICK = ['--isolation', 'thread', '--stage', 'cpu', '-q'];
const MANY = 20_000;

before(async () => {
  await makeModel('mlp', at('mlp'), { width: 4, blocks: 1, length: 2 });
  const rows = Float32Array.from({ length: MANY * 2 }, (_, i) => Math.sin(i));
  writeFileSync(at('many.npy'), npyBytes({ descr: '<f4', shape: [MANY, 2], data: new Uint8Array(rows.buffer) }));
});
after(() => rmSync(cwd, { recursive: true }));

const filesOf = (name: string) => readdirSync(cwd).filter((file) => file.startsWith(name));

suite('tandem run', { concurrency: 2 }, () => {
  test('rows that fail are listed one by one, and the others are computed', async () => {
    const lines = [
      ...[
        '{"id":"good","inputs":{"features":[1,2]}}',
        '{"inputs":{"features":[1,NaN]}}',
        '{"inputs":{"features":[[1],2]}}',
      ],
      ...[
        '{"id":"none","inputs":{}}',
        '{"inputs":{"features":["1",2]}}',
        '{"inputs":{"feature":[1,2]}}',
        'null',
        '[1,2',
        '',
      ],
      '[3,4]',
    ];
    writeFileSync(at('mixed.jsonl'), `${lines.join('\n')}\n`);
    const { status, stderr } = await tandem(['run', 'mlp', '-i', 'mixed.jsonl', '-o', 'mixed-out.jsonl', ...QUICK], {
      cwd,
    });
    assert.equal(status, 65, stderr);
    const read = (name: string) =>
      readFileSync(at(name), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    assert.deepEqual(
      read('mixed-out.jsonl').map(({ id }) => id),
      ['good', 8],
    );
    assert.deepEqual(
      read('mixed-out.jsonl.errors.jsonl').map(({ index, id, code }) => [index, id, code]),
      [
        [1, 1, 'TANDEM_ROW_NOT_FINITE'],
        [2, 2, 'TANDEM_ROW_SHAPE'],
        [3, 'none', 'TANDEM_ROW_INVALID'],
        [4, 4, 'TANDEM_ROW_TYPE'],
        [5, 5, 'TANDEM_ROW_INVALID'],
        [6, 6, 'TANDEM_ROW_SHAPE'],
        [7, 7, 'TANDEM_ROW_INVALID'],
      ],
    );
  });

  test('a row of an array that is not finite fails alone', async () => {
    const data = new Uint8Array(Float32Array.of(1, 2, 3, Number.NaN, 5, 6).buffer);
    writeFileSync(at('nan.npy'), npyBytes({ descr: '<f4', shape: [3, 2], data }));
    const { status, stderr } = await tandem(['run', 'mlp', '-i', 'nan.npy', '-o', 'nan-out.jsonl', ...QUICK], { cwd });
    assert.equal(status, 65, stderr);
    const { index, code } = JSON.parse(readFileSync(at('nan-out.jsonl.errors.jsonl'), 'utf8'));
    assert.deepEqual({ index, code }, { index: 1, code: 'TANDEM_ROW_NOT_FINITE' });
    assert.equal(readFileSync(at('nan-out.jsonl'), 'utf8').trimEnd().split('\n').length, 2);
  });

  test('on a disk that fills up, what was done is kept under another name, and it is said which', async (t) => {
    const disk = tinyDisk(t);
    if (disk === null) return t.skip('a small file system cannot be mounted here');
    const ended = await tandem(['run', 'mlp', '-i', 'many.npy', '-o', 'disk/out.jsonl', ...QUICK], { cwd });
    assert.equal(ended.status, 75, ended.stderr);
    assert.match(ended.stderr, /^tandem: .*no space is left in disk \[TANDEM_OUTPUT_FAILED\]\n {8}free some space/);
    const [, kept = ''] = /\ntandem: what was done until then is kept, ([\d,]+) rows\n/.exec(ended.stderr) ?? [];
    assert.match(ended.stderr, /\n {8}to resume, run the same command again, or: tandem resume disk\/out\.jsonl\n$/);
    assert.deepEqual(readdirSync(disk).sort(), ['out.jsonl.journal', 'out.jsonl.partial']);
    const lines = readFileSync(join(disk, 'out.jsonl.partial'), 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, Number(kept.replace(',', '')), ended.stderr);
    for (const line of lines) JSON.parse(line);
  });

  test('a full device as stdout', { skip: !existsSync('/dev/full') && 'there is no /dev/full here' }, async () => {
    const command = `"$0" "$1" run mlp -i many.npy -o - ${QUICK.join(' ')} >/dev/full`;
    const { ended } = start('sh', ['-c', command, process.execPath, TANDEM], { cwd });
    assertFails(await ended, { status: 73, code: 'TANDEM_OUTPUT_FAILED', says: /no space is left/ });
  });

  test('a reader that has read enough ends the run quietly, with its stages', async () => {
    const args = ['run', 'mlp', '-i', 'many.npy', '-o', '-', '-q', '-s', 'cpu,layers=0..0', '-s', 'cpu'];
    const { child, ended } = start(process.execPath, [TANDEM, ...args], { cwd });
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { status, stderr } = await ended;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  });

  test('a stage for a card that is not there is refused with the line to type', {
    skip: readNvidiaDriver() !== null && 'this machine has a card',
  }, async () => {
    const ended = await tandem(
      ['run', 'mlp', '-i', 'many.npy', '-o', 'gpu.npy', '-s', 'gpu', '-s', 'cpu,layers=1..1', '-q'],
      { cwd },
    );
    const [, code = ''] = /\[(TANDEM_\w+)\]/.exec(ended.stderr) ?? [];
    assert.ok(
      ['TANDEM_ENGINE_MISSING', 'TANDEM_DEVICE_MISSING', 'TANDEM_DEVICE_FALLBACK'].includes(code),
      ended.stderr,
    );
    assertFails(ended, { status: 78, code, says: /\n {8}.*(npx tandem setup|npm install|tandem doctor|--stage cpu)/ });
    assert.deepEqual(filesOf('gpu'), []);
  });
});

/** A file system of 256 KiB under `disk`, or null where this user may not mount one. */
function tinyDisk(t: TestContext): string | null {
  const folder = at('disk');
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return null;
  }
  t.after(() => execFileSync('umount', [folder]));
  return folder;
}
