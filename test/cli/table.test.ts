/** Tables of plain text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTable } from '../../src/cli/table.js';

test('columns are as wide as their widest cell, numbers stand right, and no line ends in spaces', () => {
  const columns = [{ title: 'layer', right: true }, { title: 'name' }, { title: 'bytes', right: true }];
  const rows = [
    ['0', 'a long name', '12'],
    ['10', '', ''],
    ['200', 'x', '1234567'],
  ];
  assert.equal(
    formatTable(columns, rows),
    `layer  name           bytes
    0  a long name       12
   10
  200  x            1234567`,
  );
});

test('without rows the titles stand alone, and a cell that is missing is empty', () => {
  assert.equal(formatTable([{ title: 'a' }, { title: 'b' }], []), 'a  b');
  assert.equal(formatTable([{ title: 'a' }, { title: 'b' }], [['1']]), 'a  b\n1');
});
