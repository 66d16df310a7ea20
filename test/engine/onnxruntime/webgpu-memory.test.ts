/** A card without memory left, as the WebGPU provider meets it: a false Vulkan loader refuses memory in front of a software adapter. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import { tandem } from '../../cli/tandem-process.js';
import { FalseLibraries, whyNoFalseLibraries } from '../../fixtures/false-libraries.js';
import { npyBytes } from '../../fixtures/npy-bytes.js';
import { useSoftwareCard, vulkanLoader } from '../../fixtures/software-card.js';

const card = useSoftwareCard();
const [MANY, WIDTH] = [131_072, 16];

describe('memory on WebGPU', { skip: card.skip || whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  let model: string;
  before(() => {
    libraries = new FalseLibraries('libvulkan.so.1');
    model = makeOnnx('mlp', `${libraries.folder}/mlp`);
    for (const [name, rows] of [
      ['many', MANY],
      ['few', MANY / 32],
    ] as const) {
      const data = new Uint8Array(4 * rows * WIDTH);
      writeFileSync(`${libraries.folder}/${name}.npy`, npyBytes({ descr: '<f4', shape: [rows, WIDTH], data }));
    }
  });
  after(() => libraries[Symbol.dispose]());

  const env = (mebibytes: number) => ({
    LD_LIBRARY_PATH: libraries.folder,
    REAL_VULKAN: vulkanLoader(),
    FALSE_VULKAN_MIB: String(mebibytes),
    XDG_CACHE_HOME: libraries.folder,
  });

  test('a micro-batch that the card has no memory for ends with that word and a smaller micro-batch, which then runs', async () => {
    const run = (rows: string, microBatch: number) => {
      const args = ['run', 'mlp', '-i', rows, '-o', 'out.npy', '--force', '--allow-fallback', '-q'];
      return tandem([...args, '--stage', 'gpu,provider=webgpu', '--micro-batch', String(microBatch)], {
        cwd: libraries.folder,
        env: env(12),
      });
    };
    const tooLarge = await run('many.npy', MANY);
    assert.notEqual(tooLarge.status, 0);
    assert.match(tooLarge.stderr, /no memory left[\s\S]*\[TANDEM_OUT_OF_MEMORY\]\n +use a smaller --micro-batch/);
    assert.doesNotMatch(tooLarge.stderr, /compare the rows/);
    const fits = await run('few.npy', MANY / 64);
    assert.equal(fits.status, 0, fits.stderr);
  });

  test('a stage that met it computes the same rows in parts, all of them right', () => {
    const url = (path: string) => JSON.stringify(import.meta.resolve(path));
    const code = `
      const { onnxruntime } = await import(${url('../../../src/engine/onnxruntime/onnxruntime.js')});
      const { runInParts } = await import(${url('../../../src/engine/in-parts.js')});
      const { openModel } = await import(${url('../../../src/model/open.js')});
      const { sliceOf } = await import(${url('../../../src/model/slice.js')});
      const graph = await openModel(process.argv[1]);
      const slice = sliceOf(graph, 0, graph.ops.length);
      const data = new Float32Array(${MANY * WIDTH}).map((_, n) => Math.sin(n));
      const rows = [{ dtype: 'float32', shape: [${MANY}, ${WIDTH}], data }];
      const load = (provider) => onnxruntime.load(slice, { provider, threads: 1 });
      const [onCard, onCpu] = [await load('webgpu'), await load('cpu')];
      const failure = await onCard.run(rows).then(() => null, (error) => error.code);
      const [parts] = await runInParts(onCard, rows, { rows: ${MANY / 64}, inputs: [0], outputs: [0] });
      const [right] = await onCpu.run(rows);
      const worst = right.data.reduce((most, value, n) => Math.max(most, Math.abs(value - parts.data[n])), 0);
      console.log(JSON.stringify({ failure, worst, rows: parts.shape[0] }));
      process.exit();
    `;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code, model], {
      env: { ...process.env, ...env(12) },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { failure, worst, rows } = JSON.parse(printed.trim().split('\n').at(-1)!);
    assert.equal(failure, 'TANDEM_OUT_OF_MEMORY');
    assert.equal(rows, MANY);
    assert.ok(worst < 1e-4, `${worst}`);
  });
});
