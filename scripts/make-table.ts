/** Writes a CSV table as people have them: an id, a text, and a list of numbers for a model; every seventh row cannot be computed. */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Rows that are written at once. */
const AT_ONCE = 1000;

/** `width` numbers in the column `x`, beside `id` and `text`. */
export function makeTable(path: string, rows: number, width: number, { badEvery = 7 } = {}): void {
  const file = openSync(path, 'w');
  writeSync(file, 'id,text,x\n');
  for (let first = 0; first < rows; first += AT_ONCE) {
    const lines = Array.from({ length: Math.min(AT_ONCE, rows - first) }, (_, n) => line(first + n, width, badEvery));
    writeSync(file, lines.join(''));
  }
  closeSync(file);
}

function line(row: number, width: number, badEvery: number): string {
  const numbers = Array.from({ length: width }, (_, n) => Math.sin(row * width + n).toFixed(4));
  if (row % badEvery === badEvery - 1) numbers[0] = 'bad';
  return `row-${row},"text ${row}, with a comma","[${numbers.join(',')}]"\n`;
}
