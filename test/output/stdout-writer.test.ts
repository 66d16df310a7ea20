/** Rows to stdout: back-pressure, readers that end early, full disks. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { isBrokenPipe } from '../../src/output/error.js';
import { openSink } from '../../src/output/open-sink.js';
import { batch, sharedTensor } from '../fixtures/rows-done.js';

const TWO_ROWS = () => batch(0, { y: sharedTensor('float32', [2], [0.1, 0.2]) });
const TWO_LINES = '{"id":0,"outputs":{"y":0.1}}\n{"id":1,"outputs":{"y":0.2}}\n';

/** A stream that accepts one write at a time, when the test allows it. */
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

test('a write waits until the stream has accepted it, and the stream stays open', async () => {
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

test('a reader that ends early is recognised', async () => {
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

const SINK_URL = new URL('../../src/output/open-sink.js', import.meta.url).href;
const ERROR_URL = new URL('../../src/output/error.js', import.meta.url).href;
/** Writes rows to stdout for ever, and prints its error on stderr. */
const ENDLESS = `
  const { openSink } = await import(${JSON.stringify(SINK_URL)});
  const { isBrokenPipe } = await import(${JSON.stringify(ERROR_URL)});
  const sink = await openSink('-');
  const outputs = new Map([['y', { dtype: 'float32', shape: [100], data: new Float32Array(100) }]]);
  try {
    for (let firstRow = 0; ; firstRow += 100) await sink.write({ firstRow, rows: 100, outputs, failures: [], failed: [], nonFiniteRows: 0, ids: null });
  } catch (error) {
    process.stderr.write(error.code + ' ' + error.cause?.code + ' ' + isBrokenPipe(error));
  }
`;

test('a real process: the pipe is closed by its reader', {
  skip: process.platform === 'win32' && 'Windows has no EPIPE',
}, async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', ENDLESS], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.once('data', () => child.stdout.destroy());
  let printed = '';
  child.stderr.on('data', (chunk) => {
    printed += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  assert.equal(printed, 'TANDEM_OUTPUT_FAILED EPIPE true');
});

test('a real process: the disk is full', {
  skip: !existsSync('/dev/full') && 'there is no /dev/full here',
}, () => {
  const printed = execFileSync('/bin/sh', [
    '-c',
    '"$0" --input-type=module -e "$1" 2>&1 >/dev/full',
    process.execPath,
    ENDLESS,
  ]);
  assert.equal(printed.toString(), 'TANDEM_OUTPUT_FAILED ENOSPC false');
});
