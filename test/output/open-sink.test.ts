/** Rows to files: names, locks, force, and failed rows. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { openSink } from '../../src/output/open-sink.js';
import { batch, failedRow, sharedTensor } from '../fixtures/rows-done.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const TWO_ROWS = () => batch(0, { y: sharedTensor('float32', [2], [0.1, 0.2]) });
const TWO_LINES = '{"id":0,"outputs":{"y":0.1}}\n{"id":1,"outputs":{"y":0.2}}\n';

test('the final name appears only at the end, and no other file stays', async (t) => {
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

test('an abandoned output stays as .partial', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.jsonl'));
  await sink.write({ ...TWO_ROWS(), failed: [failedRow(1)] });
  await sink.abandon();
  await sink.abandon();
  assert.deepEqual(readdirSync(at('')).sort(), ['out.jsonl.errors.jsonl.partial', 'out.jsonl.partial']);
  const again = await openSink(at('out.jsonl'));
  await again.write(TWO_ROWS());
  await again.finish();
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), TWO_LINES, 'a leftover file is replaced, not appended to');
});

test('an output without rows leaves no files', async (t) => {
  const at = tempFolder(t);
  for (const name of ['out.jsonl', 'out.npy', 'out.npz']) {
    const sink = await openSink(at(name));
    await sink.abandon();
    assert.deepEqual(readdirSync(at('')), []);
  }
});

test('an existing output is refused at once, and replaced only with force', async (t) => {
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

test('a file that was created under the name meanwhile is not lost', async (t) => {
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

test('paths that cannot be an output', async (t) => {
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

test('failed rows go to a separate file, in order, and only if there are any', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.jsonl'));
  await sink.write({ ...TWO_ROWS(), failed: [failedRow(1, 'b'), failedRow(0, 7)], ids: [7, 'b'] });
  await sink.write(batch(2, { y: sharedTensor('float32', [1], [3]) }, { failed: [failedRow(2)] }));
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
  assert.deepEqual(readdirSync(at('')), ['out.jsonl'], 'old errors are about rows that are good now');
});

test('formats that cannot hold the outputs', async (t) => {
  const at = tempFolder(t);
  await assert.rejects(openSink(at('out.xml')), { code: 'TANDEM_USAGE' });
  await assert.rejects(openSink(at('out.npy'), { outputs: ['a', 'b'] }), {
    code: 'TANDEM_OUTPUT_UNSUPPORTED',
    message: 'an NPY file holds one array, but the model has 2 outputs: a, b',
    remedy: 'name the output .npz or .jsonl',
  });
  await assert.rejects(openSink('-', { format: 'npz' }), { code: 'TANDEM_OUTPUT_UNSUPPORTED' });
  await assert.rejects(openSink('-', { format: 'npy' }), { code: 'TANDEM_OUTPUT_UNSUPPORTED' });
  assert.deepEqual(readdirSync(at('')), []);
});
