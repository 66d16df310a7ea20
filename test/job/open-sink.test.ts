/** Rows out, into real files and streams: names, locks, force, failures of the disk and of the reader. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openSink } from '../../src/job/open-sink.js';
import { isBrokenPipe } from '../../src/job/output-error.js';
import { batch, failedRow, sharedTensor } from './rows-done.js';
import { tempFolder } from './temp-folder.js';

const TWO_ROWS = () => batch(0, { y: sharedTensor('float32', [2], [0.1, 0.2]) });
const TWO_LINES = '{"id":0,"outputs":{"y":0.1}}\n{"id":1,"outputs":{"y":0.2}}\n';

test('the final name appears only at the end, and nothing else stays', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.jsonl'));
  await sink.write(TWO_ROWS());
  assert.deepEqual(readdirSync(at('')).sort(), ['out.jsonl.lock', 'out.jsonl.partial']);
  assert.equal(readFileSync(at('out.jsonl.partial'), 'utf8'), TWO_LINES);
  await sink.finish();
  assert.deepEqual(readdirSync(at('')), ['out.jsonl']);
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), TWO_LINES);
  await sink.abandon();
  assert.deepEqual(readdirSync(at('')), ['out.jsonl'], 'after finish there is nothing to abandon');
});

test('an abandoned output stays beside the final name', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.jsonl'));
  await sink.write({ ...TWO_ROWS(), failures: [failedRow(1)] });
  await sink.abandon();
  await sink.abandon();
  assert.deepEqual(readdirSync(at('')).sort(), ['out.jsonl.errors.jsonl.partial', 'out.jsonl.partial']);
  const again = await openSink(at('out.jsonl'));
  await again.write(TWO_ROWS());
  await again.finish();
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), TWO_LINES, 'an orphan is replaced, not added to');
});

test('an output that exists is refused at once, and replaced only by force', async (t) => {
  const at = tempFolder(t);
  writeFileSync(at('out.jsonl'), 'precious');
  await assert.rejects(openSink(at('out.jsonl')), { code: 'TANDEM_OUTPUT_EXISTS', remedy: /--force/ });
  assert.deepEqual(readdirSync(at('')), ['out.jsonl']);
  const sink = await openSink(at('out.jsonl'), { force: true });
  await sink.write(TWO_ROWS());
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), 'precious');
  await sink.finish();
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), TWO_LINES);
});

test('a file that took the name meanwhile is not lost', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.jsonl'));
  await sink.write(TWO_ROWS());
  writeFileSync(at('out.jsonl'), 'precious');
  await assert.rejects(sink.finish(), { code: 'TANDEM_OUTPUT_EXISTS' });
  assert.deepEqual(readdirSync(at('')).sort(), ['out.jsonl', 'out.jsonl.partial']);
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), 'precious');
  assert.equal(readFileSync(at('out.jsonl.partial'), 'utf8'), TWO_LINES);
});

test('one writer at a time', async (t) => {
  const at = tempFolder(t);
  const first = await openSink(at('out.jsonl'));
  await assert.rejects(openSink(at('out.jsonl'), { force: true }), {
    code: 'TANDEM_OUTPUT_EXISTS',
    message: new RegExp(`is being written by process ${process.pid}`),
  });
  await first.abandon();
  const second = await openSink(at('out.jsonl'));
  await second.abandon();
});

test('places where no output can be', async (t) => {
  const at = tempFolder(t);
  mkdirSync(at('folder.jsonl'));
  writeFileSync(at('target.jsonl'), 'precious');
  symlinkSync(at('target.jsonl'), at('link.jsonl'));
  symlinkSync(at('nowhere.jsonl'), at('dangling.jsonl'));
  for (const [name, message, remedy] of [
    ['no/folder/out.jsonl', /the folder .*no\/folder does not exist/, /mkdir -p/],
    ['folder.jsonl', /folder\.jsonl is a folder/, /file inside it/],
    ['target.jsonl/out.jsonl', /is not a folder|does not exist/, /folder/],
    ['link.jsonl', /is a symbolic link/, /file that it points to/],
    ['dangling.jsonl', /is a symbolic link/, /file that it points to/],
    [`${'x'.repeat(300)}.jsonl`, /name is too long/, /shorter/],
  ] as const) {
    for (const force of [false, true]) {
      await assert.rejects(openSink(at(name), { force }), { code: 'TANDEM_OUTPUT_FAILED', message, remedy }, name);
    }
  }
  await assert.rejects(openSink('/dev/null', { format: 'jsonl', force: true }), {
    code: 'TANDEM_OUTPUT_FAILED',
    remedy: 'write to stdout instead: --output - > /dev/null',
  });
  assert.equal(readFileSync(at('target.jsonl'), 'utf8'), 'precious');
  assert.deepEqual(readdirSync(at('')).sort(), ['dangling.jsonl', 'folder.jsonl', 'link.jsonl', 'target.jsonl']);
});

test('an output never replaces an input of the same job, under any of its names', async (t) => {
  const at = tempFolder(t);
  for (const name of ['out.jsonl', 'out.jsonl.partial', 'out.jsonl.errors.jsonl']) {
    writeFileSync(at(name), '[1,2]\n');
    await assert.rejects(openSink(at('out.jsonl'), { force: true, inputs: ['-', at('absent'), at(name)] }), {
      code: 'TANDEM_USAGE',
      message: `the output would replace the input ${at(name)}`,
    });
    assert.equal(readFileSync(at(name), 'utf8'), '[1,2]\n');
    unlinkSync(at(name));
  }
});

test('failed rows go to a file of their own, in order, and only if there are any', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.jsonl'));
  await sink.write({ ...TWO_ROWS(), failures: [failedRow(1, 'b'), failedRow(0, 7)], ids: [7, 'b'] });
  await sink.write(batch(2, { y: sharedTensor('float32', [1], [3]) }, { failures: [failedRow(2)] }));
  assert(!existsSync(at('out.jsonl.errors.jsonl')));
  await sink.finish();
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), '');
  assert.equal(
    readFileSync(at('out.jsonl.errors.jsonl'), 'utf8'),
    '{"index":0,"id":7,"code":"TANDEM_ROW_INVALID","message":"row 0 is bad"}\n' +
      '{"index":1,"id":"b","code":"TANDEM_ROW_INVALID","message":"row 1 is bad"}\n' +
      '{"index":2,"id":2,"code":"TANDEM_ROW_INVALID","message":"row 2 is bad"}\n',
  );
  const clean = await openSink(at('out.jsonl'), { force: true });
  await clean.write(TWO_ROWS());
  await clean.finish();
  assert.deepEqual(readdirSync(at('')), ['out.jsonl'], 'old errors would speak of rows that are good now');
});

test('formats that an output cannot have', async (t) => {
  const at = tempFolder(t);
  await assert.rejects(openSink(at('out.csv')), { code: 'TANDEM_USAGE' });
  await assert.rejects(openSink(at('out.npy'), { outputs: ['a', 'b'] }), {
    code: 'TANDEM_OUTPUT_UNSUPPORTED',
    message: 'an NPY file holds one array, but the model has 2 outputs: a, b',
    remedy: 'name the output .npz or .jsonl',
  });
  await assert.rejects(openSink('-', { format: 'npz' }), { code: 'TANDEM_OUTPUT_UNSUPPORTED' });
  await assert.rejects(openSink('-', { format: 'npy' }), { code: 'TANDEM_OUTPUT_UNSUPPORTED' });
  assert.deepEqual(readdirSync(at('')), []);
});

/** A stream that takes one write at a time, and only when told. */
class Gate extends Writable {
  readonly taken: Buffer[] = [];
  #release: (() => void) | null = null;

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.taken.push(Buffer.from(chunk));
    this.#release = callback;
  }

  release(): void {
    this.#release?.();
  }
}

test('stdout: a write waits until the stream has taken it, and the stream stays open', async () => {
  const stdout = new Gate();
  const sink = await openSink('-', { stdout });
  let settled = false;
  const written = sink.write(TWO_ROWS()).then(() => {
    settled = true;
  });
  await new Promise(setImmediate);
  assert.equal(settled, false);
  assert.equal(Buffer.concat(stdout.taken).toString(), TWO_LINES);
  stdout.release();
  await written;
  await sink.finish();
  assert(!stdout.writableEnded);
});

test('stdout: a reader that goes away is told apart', async () => {
  const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const stdout = new Writable({ write: (_chunk, _encoding, callback) => callback(broken) });
  const sink = await openSink('-', { stdout });
  for (let n = 0; n < 2; n++) {
    const error = await sink.write(TWO_ROWS()).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert(isBrokenPipe(error), `write ${n}`);
  }
  await sink.abandon();
  assert(!isBrokenPipe(new Error('EPIPE')));
});

const SINK_URL = new URL('../../src/job/open-sink.js', import.meta.url).href;
const ERROR_URL = new URL('../../src/job/output-error.js', import.meta.url).href;
/** Writes rows to stdout for ever, and tells on stderr how it ended. */
const ENDLESS = `
  const { openSink } = await import(${JSON.stringify(SINK_URL)});
  const { isBrokenPipe } = await import(${JSON.stringify(ERROR_URL)});
  const sink = await openSink('-');
  const outputs = new Map([['y', { dtype: 'float32', shape: [100], data: new Float32Array(100) }]]);
  try {
    for (let firstRow = 0; ; firstRow += 100) await sink.write({ firstRow, rows: 100, outputs, failures: [], ids: null });
  } catch (error) {
    process.stderr.write(error.code + ' ' + error.cause?.code + ' ' + isBrokenPipe(error));
  }
`;

test('stdout of a real process: the pipe is closed by its reader', { skip: onWindows() }, async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', ENDLESS], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.once('data', () => child.stdout.destroy());
  let told = '';
  child.stderr.on('data', (chunk) => {
    told += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  assert.equal(told, 'TANDEM_OUTPUT_FAILED EPIPE true');
});

test('stdout of a real process: the disk is full', {
  skip: !existsSync('/dev/full') && 'there is no /dev/full here',
}, () => {
  const told = execFileSync('/bin/sh', [
    '-c',
    '"$0" --input-type=module -e "$1" 2>&1 >/dev/full',
    process.execPath,
    ENDLESS,
  ]);
  assert.equal(told.toString(), 'TANDEM_OUTPUT_FAILED ENOSPC false');
});

function onWindows(): string | false {
  return process.platform === 'win32' && 'Windows has no EPIPE';
}

/** A file system of 256 KiB, or the reason why there is none. */
function tinyDisk(t: TestContext, options = ''): { folder: string } | { reason: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=256k${options}`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(folder);
    return { reason: `a small file system cannot be mounted here: ${(error as Error).message.split('\n')[0]}` };
  }
  t.after(() => {
    execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return { folder };
}

for (const name of ['out.jsonl', 'out.npy', 'out.npz']) {
  test(`a disk that fills up: ${name}`, async (t) => {
    const disk = tinyDisk(t);
    if ('reason' in disk) return t.skip(disk.reason);
    const path = join(disk.folder, name);
    const sink = await openSink(path);
    const rows = batch(0, { y: sharedTensor('float32', [64, 64], new Array(4096).fill(1 / 3)) });
    const writeMany = async () => {
      for (let n = 0; n < 100; n++) await sink.write(rows);
    };
    await assert.rejects(writeMany(), {
      code: 'TANDEM_OUTPUT_FAILED',
      message: new RegExp(`^the output ${path} cannot be written: no space is left`),
      remedy: /free some space/,
    });
    await sink.abandon();
    assert.deepEqual(readdirSync(disk.folder), [`${name}.partial`]);
  });
}

test('a folder that may not be written to', async (t) => {
  const disk = tinyDisk(t, ',ro');
  if ('reason' in disk) return t.skip(disk.reason);
  await assert.rejects(openSink(join(disk.folder, 'out.jsonl')), {
    code: 'TANDEM_OUTPUT_FAILED',
    message: /may not be written to/,
  });
});
