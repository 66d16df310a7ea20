/** Rows from JSON lines: order, positions, sizes, streams. */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { openSource } from '../../../src/rows/open-source.js';
import { inputSpec, openText, readAll, tensorsFor } from '../../fixtures/rows-read.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const X = inputSpec('x', 'float32', 2);

test('rows with ids, inputs by name, the tensor itself', async (t) => {
  const path = tempFolder(t)('rows.jsonl');
  writeFileSync(
    path,
    '{"id":"a","inputs":{"x":[1,2]}}\n{"inputs":{"x":[3,4]},"label":"kept out"}\n\n[5,6]\n{"id":7,"inputs":[7,8]}\n{"id":null,"inputs":[9,10]}\n',
  );
  const source = await openSource(path, [X]);
  assert.equal(source.rows, null);
  assert.deepEqual(source.rowSpecs, [{ name: 'x', dtype: 'float32', shape: [2] }]);
  const all = await readAll(source, 2);
  assert.deepEqual(all.values, [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]);
  assert.deepEqual(all.ids, ['a', 1, 2, 7, 4]);
  assert.deepEqual(all.failures, []);
});

test('scalars, nested lists, several inputs, every type', async () => {
  const specs = [
    inputSpec('a', 'float32', 1, 2, 2),
    inputSpec('b', 'int64'),
    inputSpec('c', 'bool', 2),
    inputSpec('d', 'float16', 1),
    inputSpec('e', 'uint8'),
  ];
  const line = '{"inputs":{"e":255,"d":[1],"c":[true,false],"b":"-9223372036854775808","a":[[[1,2],[3,4.5]]]}}';
  const all = await readAll(await openText(line, specs));
  assert.deepEqual(all.failures, []);
  assert.deepEqual(all.values, [[1, 2, 3, 4.5], [-9223372036854775808n], [1, 0], [0x3c00], [255]]);
});

test('chunk boundaries do not matter, at any byte', async () => {
  const text = Buffer.from(
    '\ufeff{"id":"zwölf €","inputs":{"x":[1.25,-2e3]}}\r\n\r\n[3,4]\nbad\n{"id":1,"inputs":{"y":[1,2]}}\n[0.1,0.2]',
  );
  const whole = await readAll(await openText(text, [X]));
  assert.equal(whole.rows, 5);
  assert.equal(whole.failures.length, 2);
  for (let at = 1; at < text.length; at++) {
    const stdin = Readable.from([text.subarray(0, at), text.subarray(at)]);
    assert.deepEqual(await readAll(await openSource('-', [X], { stdin })), whole, `cut at ${at}`);
  }
  const bytes = Readable.from([...text].map((byte) => Buffer.of(byte)));
  assert.deepEqual(await readAll(await openSource('-', [X], { stdin: bytes })), whole);
});

test('failed rows are not written in any input: the good rows are contiguous', async () => {
  const specs = [inputSpec('a', 'int32', 2), inputSpec('b', 'int64')];
  const lines = [
    '{"inputs":{"a":[1,2],"b":3}}',
    '{"inputs":{"a":[4,5],"b":"x"}}',
    'nonsense',
    '{"inputs":{"a":[6,7],"b":8}}',
  ];
  const all = await readAll(await openText(lines.join('\n'), specs), 4);
  assert.deepEqual(all.values, [
    [1, 2, 6, 7],
    [3n, 8n],
  ]);
  assert.deepEqual(
    all.failures.map(({ index }) => index),
    [1, 2],
  );
});

test('the first good row sets the dims that the model leaves open', async () => {
  const tokens = [inputSpec('ids', 'int32', null), inputSpec('mask', 'int32', null)];
  const lines = [
    '{"inputs":{"ids":[1,2],"mask":[1,"x"]}}',
    '{"inputs":{"ids":[],"mask":[1]}}',
    '{"inputs":{"ids":[1,2,3],"mask":[1,1,1]}}',
    '{"id":"later","inputs":{"ids":[1,2],"mask":[1,1]}}',
  ];
  const source = await openText(lines.join('\n'), tokens);
  assert.deepEqual(
    source.rowSpecs.map(({ shape }) => shape),
    [[3], [3]],
  );
  const all = await readAll(source, 8);
  assert.deepEqual(all.values, [
    [1, 2, 3],
    [1, 1, 1],
  ]);
  assert.deepEqual(
    all.failures.map(({ index, message }) => [index, message]),
    [
      [0, 'inputs.mask[1] is a string where a whole number belongs'],
      [1, 'inputs.ids is an empty list'],
      [3, 'inputs.ids has 2 values where 3 belong, the length in row 2'],
    ],
  );
});

test('a ragged row cannot set the dims', async () => {
  const source = await openText('[[1,2],[3]]\n[[1],[2],[3]]\n', [inputSpec('x', 'float32', null, null)]);
  assert.deepEqual(source.rowSpecs[0]!.shape, [3, 1]);
  assert.equal((await readAll(source)).failures[0]!.message, 'row[1] has 1 value where 2 belong, the length in row 0');
});

test('starting at a later row, sizes are still those of the first good one', async () => {
  const lines = ['[1,2]', '', 'bad', '[3]', '[5,6]', '[7,8]'].join('\n');
  for (const [firstRow, values, failed] of [
    [0, [1, 2, 5, 6, 7, 8], [1, 2]],
    [1, [5, 6, 7, 8], [1, 2]],
    [3, [5, 6, 7, 8], []],
    [9, [], []],
  ] as const) {
    const source = await openText(lines, [inputSpec('x', 'float32', null)], { firstRow });
    const all = await readAll(source);
    assert.deepEqual(all.values[0], values);
    assert.deepEqual(
      all.failures.map(({ index }) => index),
      failed,
    );
    assert.deepEqual(all.ids?.[0] ?? firstRow, firstRow);
  }
});

test('no rows, or no row that determines the sizes', async () => {
  for (const text of ['', '\n \n', '\ufeff']) {
    await assert.rejects(openText(text, [X]), { code: 'TANDEM_INPUT_EMPTY', message: 'stdin has no rows' });
  }
  await assert.rejects(openText('bad\n[null]\n', [inputSpec('x', 'float32', null)]), {
    code: 'TANDEM_INPUT_INVALID',
    message: /^stdin has no usable row among the first 2; row 0: the line is not JSON/,
  });
  const allBad = await readAll(await openText('bad\nworse\n', [X]));
  assert.equal(allBad.failures.length, 2, 'with fixed sizes, bad rows are only bad rows');
});

test('the search for a good row ends, however long the file is', async () => {
  let pulled = 0;
  const stdin = Readable.from(
    (function* () {
      for (;;) {
        pulled += 1;
        yield Buffer.from('bad\n'.repeat(100));
      }
    })(),
  );
  await assert.rejects(openSource('-', [inputSpec('x', 'float32', null)], { stdin }), {
    code: 'TANDEM_INPUT_INVALID',
    message: /among the first 10000;/,
  });
  assert(pulled < 200);
  assert(stdin.destroyed);
});

test('no more chunks are read than the rows need', async () => {
  let pulled = 0;
  const stdin = Readable.from(
    (function* () {
      for (;;) {
        pulled += 1;
        yield Buffer.from('[1,2]\n');
      }
    })(),
    { highWaterMark: 1 },
  );
  const source = await openSource('-', [X], { stdin });
  const into = tensorsFor(source, 10);
  for (let n = 0; n < 3; n++) assert.equal((await source.read(into)).rows, 10);
  assert(pulled < 40, `${pulled} chunks for 30 rows`);
  await source.close();
});

test('a line over the limit is one failed row', async () => {
  const source = await openText(`[1,2]\n[${'1,'.repeat(100)}2]\n[3,4]\n`, [X], { maxLineBytes: 50 });
  const all = await readAll(source);
  assert.deepEqual(all.values, [[1, 2, 3, 4]]);
  assert.equal(all.failures[0]!.code, 'TANDEM_ROW_INVALID');
  assert.match(all.failures[0]!.message, /longer than the limit/);
});

test('a file that shrinks while it is read is an error', async (t) => {
  const path = tempFolder(t)('rows.jsonl');
  const line = `[1,2]${' '.repeat(1 << 20)}\n`;
  writeFileSync(path, line.repeat(4));
  const source = await openSource(path, [X]);
  truncateSync(path, line.length + 3);
  await assert.rejects(readAll(source), { code: 'TANDEM_INPUT_CHANGED' });
});

test('a stream that breaks is an error, not a hang', async () => {
  const stdin = Readable.from(
    (async function* () {
      yield Buffer.from('[1,2]\n');
      throw Object.assign(new Error('connection lost'), { code: 'ECONNRESET' });
    })(),
  );
  const source = await openSource('-', [X], { stdin });
  await assert.rejects(readAll(source), {
    code: 'TANDEM_INPUT_CHANGED',
    message: 'stdin can no longer be read: connection lost',
  });
});
