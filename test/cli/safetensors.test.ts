/** safetensors from the command line: files of the Python package feed a model, and the package reads what is written. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { floatBytes } from '../fixtures/npy-bytes.js';
import { safetensorsBytes } from '../fixtures/safetensors-bytes.js';
import { PYTHON } from '../rows/pyarrow.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-safetensors-'));
const at = (name: string) => join(cwd, name);
const QUICK = ['-s', 'cpu', '--isolation', 'thread', '-q'];
const run = (...args: string[]) => tandem([...args, ...QUICK], { cwd });
const python = (script: string) => execFileSync(PYTHON, ['-c', script], { cwd }).toString().trim();
const noPackage =
  spawnSync(PYTHON, ['-c', 'import numpy, safetensors']).status === 0
    ? false
    : 'there is no python3 with numpy and safetensors (TEST_PYTHON names one)';
const VALUES = Array.from({ length: 20 }, (_, n) => Math.fround(n / 7));

before(() => {
  makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
  makeTextModel(at('embedder'));
  writeFileSync(
    at('x.safetensors'),
    safetensorsBytes({ x: { dtype: 'F32', shape: [10, 2], data: floatBytes(...VALUES) } }),
  );
  writeFileSync(
    at('x.jsonl'),
    Array.from({ length: 10 }, (_, n) => `{"inputs":[${VALUES[2 * n]},${VALUES[2 * n + 1]}]}\n`).join(''),
  );
  writeFileSync(at('texts.csv'), `text\n${'a good film\nnot very good\n'.repeat(8)}`);
});
after(() => rmSync(cwd, { recursive: true }));

/** The data of the only tensor of a file. */
function dataOf(name: string): Buffer {
  const bytes = readFileSync(at(name));
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
}

test('run: the same rows give the same answers as JSON lines, and embeddings are those of NPY', async () => {
  for (const input of ['x.safetensors', 'x.jsonl']) {
    const { status, stderr } = await run('run', 'mlp', '-i', input, '-o', `${input}.out.safetensors`);
    assert.equal(status, 0, stderr);
  }
  assert.deepEqual(readFileSync(at('x.safetensors.out.safetensors')), readFileSync(at('x.jsonl.out.safetensors')));
  for (const output of ['e.safetensors', 'e.npy']) {
    const { status, stderr } = await run('embed', 'embedder', '-i', 'texts.csv', '-o', output);
    assert.equal(status, 0, stderr);
  }
  const npy = readFileSync(at('e.npy'));
  const data = dataOf('e.safetensors');
  assert.ok(data.length > 0 && npy.subarray(npy.length - data.length).equals(data));
});

test('the Python package writes what is read, and reads what is written', { skip: noPackage }, async () => {
  python(`
import numpy as np
from safetensors.numpy import save_file
x = np.array(${JSON.stringify(VALUES)}, 'float32').reshape(10, 2)
save_file({'x': x, 'label': np.arange(10, dtype='uint8')}, 'python.safetensors', metadata={'made': 'here'})`);
  for (const input of ['python.safetensors', 'x.safetensors']) {
    const { status, stderr } = await run('run', 'mlp', '-i', input, '-o', `${input}.answers.safetensors`);
    assert.equal(status, 0, stderr);
  }
  assert.deepEqual(
    readFileSync(at('python.safetensors.answers.safetensors')),
    readFileSync(at('x.safetensors.answers.safetensors')),
  );
  assert.equal((await run('embed', 'embedder', '-i', 'texts.csv', '-o', 'p.safetensors')).status, 0);
  assert.equal((await run('embed', 'embedder', '-i', 'texts.csv', '-o', 'p.npy')).status, 0);
  assert.equal(
    python(`
import numpy as np
from safetensors.numpy import load_file
(name, tensor), = load_file('p.safetensors').items()
print(name, tensor.dtype, np.array_equal(tensor, np.load('p.npy')))`),
    'embedding float32 True',
  );
});

test('a broken file, a file under another name, and stdin are refused before anything runs', async () => {
  const whole = readFileSync(at('x.safetensors'));
  writeFileSync(at('cut.safetensors'), whole.subarray(0, -3));
  assertFails(await run('run', 'mlp', '-i', 'cut.safetensors', '-o', 'no.jsonl'), {
    ...{ status: 2, code: 'TANDEM_INPUT_INVALID' },
    says: /cut\.safetensors cannot be read as safetensors: .*cut short/,
  });
  writeFileSync(at('named.npz'), whole);
  assertFails(await run('run', 'mlp', '-i', 'named.npz', '-o', 'no.jsonl'), {
    ...{ status: 2, code: 'TANDEM_INPUT_INVALID' },
    says: /named\.npz is safetensors[\s\S]*--input-format safetensors/,
  });
  assertFails(await run('run', 'mlp', '-i', '-', '--input-format', 'safetensors', '-o', 'no.jsonl'), {
    ...{ status: 2, code: 'TANDEM_USAGE' },
    says: /safetensors cannot be read from stdin/,
  });
});
