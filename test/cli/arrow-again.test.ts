/** An Arrow file that tandem wrote is rows for tandem; one whose schema is in its footer alone is refused with the reason. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { assertFails, type Ended, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-arrow-again-'));
const run = (...args: string[]) => tandem(['run', 'mlp', ...args, '-s', 'cpu', '-b', '8', '-q'], { cwd });

function assertRan({ status, stderr }: Ended): void {
  assert.equal(status, 0, stderr);
}

before(() => {
  makeOnnx('mlp', join(cwd, 'mlp'), { layers: 1, hidden: 2 });
  writeFileSync(
    join(cwd, 'in.jsonl'),
    Array.from({ length: 50 }, (_, n) => `{"inputs":{"x":[${n / 8},1]},"x":[${n / 8},1]}\n`).join(''),
  );
});
after(() => rmSync(cwd, { recursive: true }));

test('what was written is read again, in order', async () => {
  assertRan(await run('-i', 'in.jsonl', '-o', 'once.arrow', '--keep', 'x'));
  assertRan(await run('-i', 'once.arrow', '-o', 'again.npy'));
  assertRan(await run('-i', 'in.jsonl', '-o', 'direct.npy'));
  assert.deepEqual(readFileSync(join(cwd, 'again.npy')), readFileSync(join(cwd, 'direct.npy')));
});

test('a file without its schema at the beginning is refused, and what to type instead is named', async () => {
  const table = tableFromArrays({ u: Float32Array.of(1, 2), v: Float32Array.of(3, 4) });
  writeFileSync(join(cwd, 'footer.arrow'), tableToIPC(table, 'file'));
  const refused = await run('-i', 'footer.arrow', '-o', 'out.npy');
  assertFails(refused, { status: 2, code: 'TANDEM_INPUT_INVALID', says: /tableToIPC\(table, 'stream'\)/ });
});
