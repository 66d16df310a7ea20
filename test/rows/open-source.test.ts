/** Opening a source: what can be opened and what is refused. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { openSource } from '../../src/rows/open-source.js';
import { floatBytes, npyBytes } from '../fixtures/npy-bytes.js';
import { inputSpec, readAll, tensorsFor } from '../fixtures/rows-read.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const X = inputSpec('x', 'float32', 2);
const SIX_ROWS = npyBytes({ descr: '<f4', shape: [6, 2], data: floatBytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) });

test('NPZ from a pipe is refused with the reason', async () => {
  await assert.rejects(openSource('-', [X], { format: 'npz', stdin: Readable.from([]) }), { code: 'TANDEM_USAGE' });
});

test('an input that is not there, or is a folder', async (t) => {
  const at = tempFolder(t);
  for (const name of ['no.npy', 'no.npz', 'no.jsonl']) {
    await assert.rejects(openSource(at(name), [X]), { code: 'TANDEM_INPUT_MISSING', message: /there is no such file/ });
  }
  await assert.rejects(openSource(at(''), [X], { format: 'jsonl' }), {
    code: 'TANDEM_INPUT_INVALID',
    message: /is a folder/,
  });
  await assert.rejects(openSource(at('no.xml'), [X]), { code: 'TANDEM_USAGE' });
});

test('closing does not wait for rows that may never come', async () => {
  const line = Buffer.from('[1,2]\n');
  const array = SIX_ROWS.subarray(0, -8);
  for (const [format, first, late] of [
    ['jsonl', line, false],
    ['jsonl', line, true],
    ['npy', array, false],
    ['npy', array, true],
  ] as const) {
    const stdin = new PassThrough();
    stdin.write(first);
    const source = await openSource('-', [X], { format, stdin });
    const waiting = source.read(tensorsFor(source, 6));
    const refused = assert.rejects(waiting, { code: /^TANDEM_(INPUT_CHANGED|CLOSED)$/ });
    if (late) await new Promise(setImmediate);
    await source.close();
    await refused;
    assert(stdin.destroyed);
  }
});

test('a named pipe is read like a stream', { skip: process.platform === 'win32' && 'no named pipes' }, async (t) => {
  const at = tempFolder(t);
  for (const [name, bytes] of [
    ['rows.npy', SIX_ROWS],
    ['rows.jsonl', Buffer.from('[0,1]\n[2,3]\n[4,5]\n[6,7]\n[8,9]\n[10,11]')],
  ] as const) {
    execFileSync('mkfifo', [at(name)]);
    createWriteStream(at(name)).end(bytes);
    const all = await readAll(await openSource(at(name), [X]));
    assert.deepEqual(all.values, [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]);
  }
  execFileSync('mkfifo', [at('rows.npz')]);
  createWriteStream(at('rows.npz'))
    .on('error', () => {})
    .end(SIX_ROWS);
  await assert.rejects(openSource(at('rows.npz'), [X]), { code: 'TANDEM_INPUT_INVALID', message: /is a pipe/ });
});
