/** The literals of NPY headers, and everything that is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePythonLiteral } from '../../../src/job/formats/python-literal.js';

test('a header as NumPy writes it', () => {
  const parsed = parsePythonLiteral("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n");
  assert.deepEqual(
    parsed,
    new Map<string, unknown>([
      ['descr', '<f4'],
      ['fortran_order', false],
      ['shape', [3, 4]],
    ]),
  );
});

test('tuples, lists, old long integers, both quotes', () => {
  assert.deepEqual(parsePythonLiteral('(3,)'), [3]);
  assert.deepEqual(parsePythonLiteral('(3)'), 3);
  assert.deepEqual(parsePythonLiteral('()'), []);
  assert.deepEqual(parsePythonLiteral('(10L, -2)'), [10, -2]);
  assert.deepEqual(parsePythonLiteral(`[('x', "<f4"), ('y', None)]`), [
    ['x', '<f4'],
    ['y', null],
  ]);
});

test('what is no literal is a SyntaxError', () => {
  for (const text of [
    '',
    '{',
    '(1 2)',
    '(1,,2)',
    "{'a': 1 'b': 2}",
    "{'a'}",
    '{1: 2}',
    "{'a': 1, 'a': 2}",
    "'open",
    'os.system("x")',
    '1.5',
    '99999999999999999999',
    '(1, 2) 3',
    '('.repeat(100),
    `${'('.repeat(100)}1${')'.repeat(100)}`,
  ]) {
    assert.throws(() => parsePythonLiteral(text), SyntaxError, text);
  }
});

test('any text parses or is a SyntaxError', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}()[],:\'"TrueFalseNone123 -L\n') }), (text) => {
      try {
        parsePythonLiteral(text);
      } catch (error) {
        assert(error instanceof SyntaxError);
      }
    }),
  );
});
