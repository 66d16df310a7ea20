/** JSON lines that are bad rows: the message for each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowFailure } from '../../../src/rows/source.js';
import type { TensorSpec } from '../../../src/tensor.js';
import { inputSpec, openText, readAll } from '../../fixtures/rows-read.js';

const X = inputSpec('x', 'float32', 2);

async function failuresOf(specs: TensorSpec[], ...lines: string[]): Promise<RowFailure[]> {
  return (await readAll(await openText(lines.join('\n'), specs))).failures;
}

test('each failure has its row, its id if it can be read, its code and the path', async () => {
  const image = inputSpec('image', 'float32', 2, 3);
  const mask = inputSpec('mask', 'int32', 2);
  const good = '[[1,2,3],[4,5,6]]';
  const row = (id: string, inputs: string) => `{"id":${id},"inputs":${inputs}}`;
  const table: [line: string, id: unknown, code: string, message: string][] = [
    ['{"id":"a","inputs"', 0, 'INVALID', 'the line is not JSON: '],
    [
      row('"b"', '{"imge":1,"mask":[1,2]}'),
      'b',
      'INVALID',
      'inputs.imge is not an input of the model: did you mean image?',
    ],
    [
      row('"c"', '{"zebra crossing":1}'),
      'c',
      'INVALID',
      'inputs["zebra crossing"] is not an input of the model: the model has image, mask',
    ],
    [row('"d"', `{"image":${good}}`), 'd', 'INVALID', 'inputs.mask is missing'],
    ['{"id":"e"}', 'e', 'INVALID', 'the row has no "inputs"; this model takes {"inputs":{"image":…,"mask":…}}'],
    ['[1,2]', 5, 'INVALID', 'the row is a list; this model takes {"inputs":{"image":…,"mask":…}}'],
    [row('6', '[1]'), 6, 'INVALID', 'inputs is a list; this model takes {"inputs":{"image":…,"mask":…}}'],
    [row('7', '{"image":[[1,2,3],[4,5]],"mask":[1,2]}'), 7, 'SHAPE', 'inputs.image[1] has 2 values where 3 belong'],
    [row('8', '{"image":[[1,2,3]],"mask":[1,2]}'), 8, 'SHAPE', 'inputs.image has 1 value where 2 belong'],
    [row('9', '{"image":[1,2],"mask":[1,2]}'), 9, 'SHAPE', 'inputs.image[0] is a number where a list of 3 belongs'],
    [
      row('10', '{"image":[[1,[2],3],[4,5,6]],"mask":[1,2]}'),
      10,
      'SHAPE',
      'inputs.image[0][1] is a list where a number belongs',
    ],
    [
      row('11', '{"image":[[1,2,3],[4,"5",6]],"mask":[1,2]}'),
      11,
      'TYPE',
      'inputs.image[1][1] is a string where a number belongs',
    ],
    [row('12', `{"image":${good},"mask":[1,2.5]}`), 12, 'TYPE', 'inputs.mask[1] is 2.5 where a whole number belongs'],
    [
      row('13', `{"image":${good},"mask":[1,2147483648]}`),
      13,
      'TYPE',
      'inputs.mask[1] is 2147483648, beyond int32 (-2147483648 to 2147483647)',
    ],
    [
      row('14', `{"image":${good},"mask":[true,2]}`),
      14,
      'TYPE',
      'inputs.mask[0] is a boolean where a whole number belongs',
    ],
    [row('15', '{"image":[[1,2,3],[null,5,6]],"mask":[1,2]}'), 15, 'NOT_FINITE', 'inputs.image[1][0] is null'],
    [row('16', '{"image":[[1,2,3],[4,NaN,6]],"mask":[1,2]}'), 16, 'NOT_FINITE', 'inputs.image[1][1] is NaN'],
    [
      row('17', '{"image":[[1,2,3],[4,5,-Infinity]],"mask":[1,2]}'),
      17,
      'NOT_FINITE',
      'inputs.image[1][2] is -Infinity',
    ],
    [
      row('18', '{"image":[[1,2,3],[4,5,1e39]],"mask":[1,2]}'),
      18,
      'NOT_FINITE',
      'inputs.image[1][2] is 1e+39, too large for float32',
    ],
    [row('19', `{"image":${good},"mask":[1e999,2]}`), 19, 'NOT_FINITE', 'inputs.mask[0] is Infinity'],
    [row('[20]', `{"image":${good},"mask":[1,2]}`), [20], 'INVALID', 'id is a list; it must be a string or a number'],
    [
      row('12345678901234567890', `{"image":${good},"mask":[1,2]}`),
      '12345678901234567890',
      'INVALID',
      'id has more digits than a JSON number keeps; write it as a string',
    ],
    [row('22', `{"image":{},"mask":[1,2]}`), 22, 'SHAPE', 'inputs.image is an object where a list of 2 belongs'],
    [row('23', `{"image":${good},"mask":[]}`), 23, 'SHAPE', 'inputs.mask is an empty list'],
  ];
  const failures = await failuresOf([image, mask], ...table.map(([line]) => line));
  for (const [n, [, id, code, message]] of table.entries()) {
    const failure = failures[n]!;
    assert.deepEqual([failure.index, failure.id, failure.code], [n, id, `TANDEM_ROW_${code}`], message);
    assert(n === 0 ? failure.message.startsWith(message) : failure.message === message, failure.message);
  }
  assert.equal(failures.length, table.length);
});

test('a word that Python writes for NaN is harmless outside the tensors', async () => {
  const all = await readAll(await openText('{"note":"NaN is \\"NaN\\"","score":NaN,"inputs":{"x":[1,2]}}', [X]));
  assert.deepEqual(all.failures, []);
  assert.deepEqual(all.values, [[1, 2]]);
});

test('64-bit integers keep every digit or fail', async () => {
  const failures = await failuresOf(
    [inputSpec('x', 'int64')],
    '9007199254740991',
    '9007199254740993',
    '"9007199254740993"',
    '"9223372036854775808"',
  );
  assert.deepEqual(
    failures.map(({ index, code }) => [index, code]),
    [
      [1, 'TANDEM_ROW_TYPE'],
      [3, 'TANDEM_ROW_TYPE'],
    ],
  );
  assert.match(failures[0]!.message, /^row is 9007199254740992, beyond the 2\^53/);
  assert.equal((await failuresOf([inputSpec('x', 'uint64')], '0', '-1', '"18446744073709551615"')).length, 1);
});

test('keys that touch the prototype are ordinary names', async () => {
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  const failures = await failuresOf(
    [X],
    '{"__proto__":{"inputs":{"x":[1,2]}}}',
    '{"inputs":{"__proto__":{"x":[1,2]}}}',
    '{"inputs":{"constructor":[1,2]}}',
    '{"inputs":{"x":{"__proto__":[1,2]}}}',
    '{"inputs":{"x":[1,2]},"__proto__":{"polluted":1}}',
  );
  assert.deepEqual(
    failures.map(({ index }) => index),
    [0, 1, 2, 3],
  );
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
  const odd = await readAll(await openText('{"inputs":{"__proto__":[1,2]}}', [inputSpec('__proto__', 'float32', 2)]));
  assert.deepEqual(odd.values, [[1, 2]]);
});

test('hostile lines fail as rows', async () => {
  const deep = '['.repeat(200_000);
  const lines = [
    deep,
    `${deep}1${']'.repeat(200_000)}`,
    `{"inputs":{"x":[1,${deep}${']'.repeat(200_000)}]}}`,
    '\u0007',
    '[1,2]',
  ];
  const all = await readAll(await openText(lines.join('\n'), [X]));
  assert.equal(all.failures.length, 4);
  assert(!all.failures[3]!.message.includes('\u0007'), 'control characters are escaped');
  const bytes = Buffer.concat([Buffer.from('[1,2]\n"'), Buffer.of(0xff, 0xfe, 0x0a)]);
  const broken = await readAll(await openText(bytes, [X]));
  assert.deepEqual(broken.failures[0], {
    index: 1,
    id: 1,
    code: 'TANDEM_ROW_INVALID',
    message: 'the line is not UTF-8',
  });
});
