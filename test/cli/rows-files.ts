/** Rows as files for the command line, and its answers as numbers, to be held against those of the engine alone. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rowsFirst } from '../../src/model/move-rows.js';
import { descrOf } from '../../src/rows/npy/npy-dtype.js';
import { bytesOf, type Tensor } from '../../src/tensor.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { tandem } from './tandem-process.js';

/** Rows in front, as people have them. */
export function writeNpy(folder: string, file: string, { dtype, shape, data }: Tensor): string {
  writeFileSync(join(folder, file), npyBytes({ descr: descrOf(dtype)!, shape, data: bytesOf(data) }));
  return file;
}

/** Runs a job from `folder`, which must succeed without a word on stderr, and gives the numbers of each output. */
export async function answers(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Record<string, number[]>> {
  const output = `answers-${Math.random().toString(36).slice(2)}.jsonl`;
  const { status, stderr } = await tandem(['run', ...args, '-o', output, '-q'], { cwd: folder, env });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, args.join(' '));
  const lines = readFileSync(join(folder, output), 'utf8').trimEnd().split('\n');
  const found: Record<string, number[]> = {};
  for (const line of lines) {
    const { outputs } = JSON.parse(line) as { outputs: Record<string, unknown> };
    for (const [name, value] of Object.entries(outputs)) {
      found[name] = [...(found[name] ?? []), ...([value].flat(Number.POSITIVE_INFINITY) as number[])];
    }
  }
  return found;
}

/** `expected` has its rows on `axis`. */
export function assertSame(found: readonly number[] | undefined, expected: Tensor, axis = 0, what = ''): void {
  const wanted = Array.from(rowsFirst(expected, axis).data as Float32Array, Number);
  assert.equal(found?.length, wanted.length, what);
  const furthest = Math.max(0, ...found!.map((value, n) => Math.abs(Math.fround(value) - wanted[n]!)));
  assert.ok(furthest <= 1e-5, `${what} is ${furthest} off`);
}
