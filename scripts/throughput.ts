/** The throughput benchmark: `tandem bench` from a clone, also on generated models: node dist/scripts/throughput.js MODEL … */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchCommand } from '../src/cli/bench.js';
import { printError } from '../src/cli/fail.js';
import { ALL_MODELS, makeModel } from './make-model.js';
import { makeOnnx, ONNX_MODELS } from './make-onnx.js';

const MADE = /^(tfjs|onnx):(.+)$/;

/** `onnx:bert` and `tfjs:dense-12` are generated with seeded weights; other values are paths. */
async function modelAt(name: string, folder: string): Promise<string> {
  const [, kind, made] = MADE.exec(name) ?? [];
  if (!made) return name;
  return kind === 'onnx' ? makeOnnx(made, folder) : makeModel(made, folder);
}

const [model, ...flags] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'tandem-throughput-'));
try {
  const command = benchCommand().name('throughput');
  command.addHelpText(
    'after',
    `\nMODEL may also be generated:\n  ${[...Object.keys(ONNX_MODELS).map((name) => `onnx:${name}`), ...Object.keys(ALL_MODELS).map((name) => `tfjs:${name}`)].join(' ')}`,
  );
  const path = model && (await modelAt(model, folder));
  await command.parseAsync(path ? [path, ...flags] : [], { from: 'user' });
} catch (error) {
  process.exitCode = printError(error);
} finally {
  rmSync(folder, { recursive: true });
}
