/** Progress: a bar on a terminal, lines elsewhere, nothing with --quiet. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { formatClock, formatRate, ProgressBar, type ProgressView } from '../../src/cli/progress.js';
import { drain } from '../fixtures/drain.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { start, TANDEM } from './tandem-process.js';

const VIEW = {
  rows: 1024,
  failedRows: 0,
  total: 2048,
  seconds: 2,
  stages: [
    { device: 'gpu', utilisation: 0.966 },
    { device: 'cpu', utilisation: 1 },
  ],
};

/** A stream that is no terminal, and what was written to it. */
function plainStream() {
  const stream = new PassThrough();
  return { stream: stream as unknown as NodeJS.WriteStream, written: () => String(drain(stream)) };
}

/** The line that a bar shows. */
function formatProgress(view: ProgressView): string {
  const { stream, written } = plainStream();
  new ProgressBar(stream, { lineEvery: 0 }).show(() => view);
  return written().trimEnd();
}

test('a bar shows the share, the rows, the rate, what is left and how busy each stage is', () => {
  assert.equal(
    formatProgress(VIEW),
    `${'━'.repeat(12)}${'╌'.repeat(12)}  50 %  1,024/2,048 rows  512 rows/s  eta 0:02  gpu 97 % | cpu 100 %`,
  );
  assert.equal(
    formatProgress({ ...VIEW, total: null, failedRows: 1234 }),
    '1,024 rows  512 rows/s  1,234 failed  gpu 97 % | cpu 100 %',
  );
  assert.match(
    formatProgress({ ...VIEW, rows: 0, seconds: 0 }),
    /^╌{24} {3}0 % {2}0\/2,048 rows {2}0\.00 rows\/s {2}gpu/,
  );
  assert.match(formatProgress({ ...VIEW, rows: 2047 }), /━{24} {2}99 %/, '100 % is for all of them');
});

test('rates have three digits, clocks round up', () => {
  const rates: [number, string][] = [
    [0, '0.00'],
    [0.01234, '0.0123'],
    [9.876, '9.88'],
    [99.94, '99.9'],
    [99.96, '100'],
    [12_345.6, '12,346'],
  ];
  for (const [rate, text] of rates) assert.equal(formatRate(rate), text);
  const clocks: [number, string][] = [
    [0, '0:00'],
    [0.2, '0:01'],
    [59.5, '1:00'],
    [61, '1:01'],
    [3599.1, '1:00:00'],
    [36_061, '10:01:01'],
  ];
  for (const [seconds, text] of clocks) assert.equal(formatClock(seconds), text);
});

test('where there is no terminal, progress is plain lines, as far apart as they should be', () => {
  const { stream, written } = plainStream();
  const bar = new ProgressBar(stream, { lineEvery: 0 });
  bar.note('loading …');
  bar.show(() => VIEW);
  bar.line('a word\n');
  bar.clear();
  assert.equal(written(), `${formatProgress(VIEW)}\na word\n`);
  const seldom = new ProgressBar(stream, { lineEvery: 3_600_000 });
  seldom.show(() => assert.fail('nobody asked for a view yet'));
  const quiet = new ProgressBar(stream, { lineEvery: 0, quiet: true });
  quiet.show(() => assert.fail('nobody asked for a view at all'));
  assert.equal(written(), '');
});

/** Runs a program on a pseudo-terminal and gives what it drew. */
const ON_TERMINAL = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
const noTerminal =
  spawnSync('python3', ['-c', 'import pty']).status === 0 ? false : 'python3, which makes terminals, is not here';

suite('on a terminal', { concurrency: 2, skip: noTerminal }, () => {
  const cwd = mkdtempSync(join(tmpdir(), 'tandem-progress-'));
  before(async () => {
    await makeModel('mlp', join(cwd, 'mlp'), { width: 4, blocks: 1, length: 2 });
    const data = new Uint8Array(4000 * 2 * 4);
    writeFileSync(join(cwd, 'x.npy'), npyBytes({ descr: '<f4', shape: [4000, 2], data }));
  });
  after(() => rmSync(cwd, { recursive: true }));

  const drawn = async (flags: readonly string[], term: string): Promise<string> => {
    const run = ['run', 'mlp', '-i', 'x.npy', '-s', 'cpu', '--isolation', 'thread', ...flags];
    const args = ['-c', ON_TERMINAL, process.execPath, TANDEM, ...run];
    const { ended } = start('python3', args, { cwd, env: { TERM: term, NO_COLOR: '1' } });
    const { status, stdout, stderr } = await ended;
    assert.equal(status, 0, stderr);
    return String(stdout).replaceAll('\r\n', '\n').replaceAll('\r\x1b[K', '<clear>').replaceAll('\x1b', '<escape>');
  };

  test('a bar is drawn over itself and taken away before the summary; there are no colours', async () => {
    const text = await drawn(['-o', 'bar.npy', '-b', '10'], 'xterm-256color');
    assert.match(text, /<clear>loading …<clear>[━╌]{24} +\d+ % {2}[\d,]+\/4,000 rows/);
    assert.match(text, /<clear>(the machine was busy while this ran: .*\n)?stage +device +ran on/);
    assert.doesNotMatch(text, /<escape>/);
  });

  test('a dumb one gets plain text only', async () => {
    const text = await drawn(['-o', 'dumb.npy'], 'dumb');
    assert.match(text, /^stage +device +engine/);
    assert.match(text, /4,000 rows in /);
    assert.doesNotMatch(text, /<clear>|<escape>|\r|loading/);
  });

  test('rows that come out on it are not mixed with a bar', async () => {
    const text = await drawn(['-o', '-', '-b', '1000'], 'xterm');
    assert.match(text, /in flight\n\{"id":0,.*\n\{"id":1,/);
    assert.match(text, /\n\{"id":3999,.*\n(the machine was busy while this ran: .*\n)?stage +device +ran on/);
    assert.doesNotMatch(text, /<clear>|loading/);
  });

  test('with --quiet there is nothing at all', async () => {
    assert.equal(await drawn(['-o', 'quiet.npy', '-q'], 'xterm'), '');
  });
});
