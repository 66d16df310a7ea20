/** The dicts of NPY headers, and everything that is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHeader } from '../../../src/rows/npy/python-literal.js';

test('a header as NumPy writes it', () => {
  const parsed = parseHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n");
  assert.deepEqual(
    parsed,
    new Map<string, unknown>([
      ['descr', '<f4'],
      ['fortran_order', false],
      ['shape', [3, 4]],
    ]),
  );
});

test('tuples of every length, old long integers, both quotes, any order and space, records as they stand', () => {
  const shapeOf = (text: string) => parseHeader(`{'shape': ${text}}`).get('shape');
  assert.deepEqual(shapeOf('(3,)'), [3]);
  assert.deepEqual(shapeOf('()'), []);
  assert.deepEqual(shapeOf('( )'), []);
  assert.deepEqual(shapeOf('(10L, 2)'), [10, 2]);
  assert.deepEqual(shapeOf('( 1 , 2,3 , )'), [1, 2, 3]);
  assert.deepEqual(
    parseHeader(`  { "shape":(2,),\n"fortran_order" : True , 'descr':[('x', "<f4", (2, 3)), ('y', [('z', '|b1')])]} `),
    new Map<string, unknown>([
      ['shape', [2]],
      ['fortran_order', true],
      ['descr', { other: `[('x', "<f4", (2, 3)), ('y', [('z', '|b1')])]` }],
    ]),
  );
});

test('what is no such dict is a SyntaxError', () => {
  for (const text of [
    '',
    '{',
    '()',
    "{'a': (1 2)}",
    "{'a': (1,,2)}",
    "{'a': (,)}",
    "{'a': (3)}",
    "{'a': (-3,)}",
    "{'a': 3}",
    "{'a': None}",
    "{'a': 'b' 'c': 'd'}",
    "{'a': 'b',, 'c': 'd'}",
    "{,'a': 'b'}",
    "{'a'}",
    '{1: True}',
    "{'a': True, 'a': True}",
    "{'a': 'open}",
    "{'a': 'b\\'}",
    "{'a': True} True",
    "{'a': os.system('x')}",
    "{'a': (1.5,)}",
    "{'a': (99999999999999999999,)}",
    '('.repeat(10_000),
    `{'a': (${'1'.repeat(9_000)}`,
    `{'a': (${' '.repeat(9_000)}x`,
    `{'a': ${'['.repeat(9_000)}`,
  ]) {
    assert.throws(() => parseHeader(text), SyntaxError, text.slice(0, 40));
  }
});

test('any text parses or is a SyntaxError', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}()[],:\'"TrueFalse123 -L\n') }), (text) => {
      try {
        parseHeader(`{${text}}`);
      } catch (error) {
        assert(error instanceof SyntaxError);
      }
    }),
  );
});
