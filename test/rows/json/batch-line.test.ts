/** OpenAI batch lines: how they are read and answered; the answers are always the same bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openSink } from '../../../src/output/open-sink.js';
import { sharedTensor } from '../../fixtures/rows-done.js';
import { inputSpec, openText, readAll, tensorsFor } from '../../fixtures/rows-read.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const X = inputSpec('x', 'float32', 2);
const line = (id: string, body: unknown) =>
  JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/embeddings', body });

test('a row is read from the body, under either name, with the model named or not', async () => {
  const rows = [
    line('a', { model: 'm', input: [1, 2] }),
    line('b', { inputs: [3, 4] }),
    line('c', { inputs: { x: [5, 6] } }),
    '{"id":"plain","inputs":[7,8]}',
  ];
  const { values, ids, failures } = await readAll(await openText(rows.join('\n'), [X]));
  assert.deepEqual(failures, []);
  assert.deepEqual(values, [[1, 2, 3, 4, 5, 6, 7, 8]]);
  assert.deepEqual(ids, ['a', 'b', 'c', 'plain']);
});

test('an error of a batch line has the original custom_id and the path in the body', async () => {
  const table: [line: string, id: unknown, message: RegExp][] = [
    [line('a', { input: [1, 'two'] }), 'a', /^body\.input\[1\] is a string where a number belongs$/],
    [line('b', { inputs: { y: [1, 2] } }), 'b', /^body\.inputs\.y is not an input of the model/],
    [line('c', {}), 'c', /^body has no "inputs"; this model takes \{"inputs":\{"x":…\}\} there$/],
    [line('d', [1, 2]), 'd', /^body is a list/],
    ['{"custom_id":"e"}', 'e', /^the row has no "body"/],
    ['{"custom_id":7,"body":{"input":[1,2]}}', 7, /^custom_id is a number; it must be a string$/],
    ['{"custom_id":null,"body":{"input":[1,2]}}', null, /^custom_id is null; it must be a string$/],
    ['{"custom_id":{"a":[1]},"body":{"input":[1,2]}}', { a: [1] }, /^custom_id is an object; it must be a string$/],
    ['{"custom_id":false,"body":{"input":[1,2]}}', false, /^custom_id is a boolean; it must be a string$/],
    ['{"custom_id": 12345678901234567890,"body":{"input":[1,2]}}', '12345678901234567890', /^custom_id is a number;/],
    [`{"custom_id":[${'1,'.repeat(600)}2],"body":{}}`, `[${'1,'.repeat(600)}`.slice(0, 1024).concat('…'), /is a list;/],
  ];
  const { failures } = await readAll(await openText(table.map(([text]) => text).join('\n'), [X]));
  assert.deepEqual(
    failures.map(({ index, id, batchLine }) => [index, id, batchLine]),
    table.map(([, id], index) => [index, id, true]),
  );
  for (const [n, [, , message]] of table.entries()) assert.match(failures[n]!.message, message);
});

test('a repeated custom_id is an error, also after skipped rows; plain ids may repeat', async () => {
  const rows = [
    ...[line('a', {}), line('b', { input: [1, 2] }), '{"id":"a","inputs":[3,4]}', '{"id":"a","inputs":[5,6]}'],
    ...[line('b', { input: [7, 8] }), '{"custom\\u005fid":"a","body":{"input":[9,9]}}', line('c', { input: [7, 8] })],
  ];
  const ofAll = await readAll(await openText(rows.join('\n'), [X]));
  const found = ofAll.failures.map(({ index, id, code }) => [index, id, code]);
  const twice = 'TANDEM_ROW_INVALID';
  assert.deepEqual(found, [
    [0, 'a', twice],
    [4, 'b', twice],
    [5, 'a', twice],
  ]);
  for (const firstRow of [1, 3, 4, 5]) {
    const { failures } = await readAll(await openText(rows.join('\n'), [X], { firstRow }));
    assert.deepEqual(
      failures,
      ofAll.failures.filter(({ index }) => index >= firstRow),
    );
  }
});

test('answers and errors are lines that a batch client reads, and the same bytes each time', async (t) => {
  const at = tempFolder(t);
  const rows = [line('a"1', { input: [1, 2] }), line('b', { input: [1] }), '{"id":"plain","inputs":[7,8]}', 'oops'];
  const write = async (name: string) => {
    const source = await openText(rows.join('\n'), [X]);
    const read = await source.read(tensorsFor(source, 4));
    const sink = await openSink(at(name));
    const outputs = new Map([['y', sharedTensor('float32', [2, 2], [1, 2, 3, 4])]]);
    await sink.write({ ...read, firstRow: 0, outputs, failed: [], nonFiniteRows: 0 });
    await sink.finish();
    await source.close();
    return [name, `${name}.errors.jsonl`].map((file) => readFileSync(at(file), 'utf8'));
  };
  const [good, failed] = await write('one.jsonl');
  assert.equal(
    good,
    '{"id":"batch_req_0","custom_id":"a\\"1","response":{"status_code":200,"body":{"outputs":{"y":[1,2]}}},"error":null}\n' +
      '{"id":"plain","outputs":{"y":[3,4]}}\n',
  );
  const [batchError, plainError] = failed!.trimEnd().split('\n');
  assert.equal(
    batchError,
    '{"id":"batch_req_1","custom_id":"b","response":null,"error":{"code":"TANDEM_ROW_SHAPE","message":"body.input has 1 value where 2 belong"},"index":1}',
  );
  assert.deepEqual(Object.keys(JSON.parse(plainError!)), ['index', 'id', 'code', 'message']);
  assert.deepEqual(await write('two.jsonl'), [good, failed]);
});
