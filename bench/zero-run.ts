/** A run of the built tandem by its command line, on rows of zeros. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ModelGraph } from '../src/model/graph.js';
import { npyHeader } from '../src/rows/npy/npy-header.js';
import { byteCount } from '../src/tensor.js';

const TANDEM = resolve(import.meta.dirname, '../src/cli/tandem.js');

/** A file of `rows` rows for each input; what names them on the command line. Open dimensions become `free`. */
export function zeroInputs(folder: string, { inputs }: ModelGraph, rows: number, free: number): string[] {
  return inputs.flatMap(({ name, dtype, shape }, n) => {
    const file = join(folder, `${n}.npy`);
    const dims = shape.slice(1).map((dim) => dim ?? free);
    writeFileSync(file, Buffer.concat([npyHeader(dtype, dims, rows), Buffer.alloc(byteCount(dtype, [rows, ...dims]))]));
    return ['--input', inputs.length > 1 ? `${name}=${file}` : file];
  });
}

/** Measurements and plans are kept in `cache`. */
export function tandem(cache: string, args: readonly string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: cache, TF_CPP_MIN_LOG_LEVEL: '2' };
  return spawnSync(process.execPath, [TANDEM, ...args], { encoding: 'utf8', env });
}
