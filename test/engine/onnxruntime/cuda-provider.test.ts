/** ONNX Runtime's real CUDA provider over false CUDA libraries: what a person is told of each fault, and what a stage may hold. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import type { Diagnosis } from '../../../src/cli/diagnosis.js';
import { hasProviderFiles } from '../../../src/engine/onnxruntime/cuda-libraries.js';
import { tandem } from '../../cli/tandem-process.js';
import { CUDA_LIBRARIES, FalseLibraries, whyNoFalseLibraries } from '../../fixtures/false-libraries.js';
import { npyBytes } from '../../fixtures/npy-bytes.js';

const skip =
  whyNoFalseLibraries() ||
  (!hasProviderFiles() && "ONNX Runtime's CUDA provider is not installed: npx tandem setup cuda");

describe('the CUDA provider over false libraries', { skip }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1', ...CUDA_LIBRARIES);
    libraries.reports({ cards: [{ name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', total: 6144, cc: '7.5' }] });
    for (const name of ['mlp', 'cnn']) makeOnnx(name, `${libraries.folder}/${name}`);
    const zeros = (shape: readonly number[]) =>
      npyBytes({ descr: '<f4', shape, data: new Uint8Array(4 * shape.reduce((a, b) => a * b)) });
    writeFileSync(`${libraries.folder}/rows.npy`, zeros([16, 16]));
    writeFileSync(`${libraries.folder}/image.npy`, zeros([2, 3, 16, 16]));
  });
  after(() => libraries[Symbol.dispose]());

  function run(name: string, stage: string, env: Record<string, string> = {}, ...more: string[]) {
    const args = ['run', name, '--stage', stage, ...more, '-q'];
    // The real CUDA of a machine that has it must not be found in the cache.
    return tandem(args, { cwd: libraries.folder, env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder, ...env } });
  }
  const rows = () => ['-i', 'rows.npy', '-o', 'out.npy', '--force', '--micro-batch', '4'];

  test('each fault is told as what it is, with its exit status', async () => {
    const cases: readonly (readonly [fail: string, status: number, says: RegExp])[] = [
      ['cudaSetDevice=35', 78, /driver is too old[\s\S]*580/],
      ['cudaSetDevice=100', 78, /finds no NVIDIA card/],
      ['cudaSetDevice=101', 78, /no card with this number/],
      ['cudaGetLastError=209', 78, /compute capability 7\.5/],
      ['cublasCreate_v2=3', 1, /no memory left/],
      ['cudaMalloc=2', 1, /no memory left/],
      ['cudaStreamSynchronize=719', 75, /no row is blamed/],
    ];
    for (const [fail, status, says] of cases) {
      const ended = await run('mlp', 'gpu,provider=cuda', { FALSE_CUDA_FAIL: fail }, ...rows());
      assert.equal(ended.status, status, `${fail}: ${ended.stderr}`);
      assert.match(ended.stderr, says, fail);
      assert.doesNotMatch(ended.stderr, /onnx\.checker|compare the rows/);
    }
  });

  test('a CUDA library that is not here is named by its file, in a run and by doctor', async () => {
    const none = { LD_LIBRARY_PATH: '' };
    const ended = await run('mlp', 'gpu,provider=cuda', none, ...rows());
    assert.equal(ended.status, 78);
    assert.match(ended.stderr, /libcu\w+\.so\.\d+ is not here/);
    const { stdout } = await tandem(['doctor', '--json'], {
      cwd: libraries.folder,
      env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder },
    });
    const cuda = (JSON.parse(stdout.toString()) as Diagnosis).checks.find(({ name }) => name === 'onnxruntime cuda')!;
    // cuDNN is not among the false libraries, and the probe has a convolution.
    assert.match(cuda.found, /libcudnn/);
    assert.equal(cuda.remedy, 'npx tandem setup cuda; or use provider=webgpu');
  });

  test('without cuDNN a model with convolutions is refused for that, not for its operators', async () => {
    const ended = await run('cnn', 'gpu,provider=cuda', {}, '-i', 'image.npy', '-o', 'out.npy', '--force');
    assert.equal(ended.status, 78, ended.stderr);
    assert.match(ended.stderr, /libcudnn\.so\.9 is not here[\s\S]*tandem setup cuda/);
  });

  test('what the provider allocates is measured on the card, and refused above the budget', async () => {
    const stage = (memory: string) => `gpu,provider=cuda,layers=0..3,memory=${memory}`;
    const over = await run('mlp', stage('512KiB'), {}, ...rows());
    assert.equal(over.status, 78, over.stderr);
    assert.match(over.stderr, /stage 0 holds \d+MiB on gpu once warm, by its driver, and may hold 1MiB/);
    const within = await run('mlp', stage('64MiB'), {}, ...rows());
    assert.equal(within.status, 0, within.stderr);
  });
});
