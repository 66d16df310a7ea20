/** What happens to ONNX Runtime's real CUDA provider in the middle of a job, and to a trial run that fails: over false CUDA libraries. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import { hasProviderFiles } from '../../../src/engine/onnxruntime/cuda-libraries.js';
import type { Summary } from '../../../src/job/summary.js';
import { start, TANDEM, tandem } from '../../cli/tandem-process.js';
import { CUDA_LIBRARIES, FalseLibraries, whyNoFalseLibraries } from '../../fixtures/false-libraries.js';
import { npyBytes } from '../../fixtures/npy-bytes.js';

const skip =
  whyNoFalseLibraries() ||
  (!hasProviderFiles() && "ONNX Runtime's CUDA provider is not installed: npx tandem setup cuda");

/** Every way to multiply fails, as with a library that does not fit the card. */
const PRODUCTS_FAIL = 'cublasSgemm_v2=7 cublasGemmEx=7 cublasLtMatmul=7 cublasSgemmStridedBatched=7';

const ROW = `${JSON.stringify(Array.from({ length: 16 }, (_, n) => n / 16))}\n`;

describe('CUDA in mid-job', { skip }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1', ...CUDA_LIBRARIES);
    libraries.reports({ cards: [{ name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', total: 6144, cc: '7.5' }] });
    makeOnnx('mlp', `${libraries.folder}/mlp`);
    const rows = npyBytes({ descr: '<f4', shape: [16, 16], data: new Uint8Array(1024) });
    writeFileSync(`${libraries.folder}/rows.npy`, rows);
  });
  after(() => libraries[Symbol.dispose]());

  const at = (name: string) => join(libraries.folder, name);
  const environment = () => ({ ...libraries.env, XDG_CACHE_HOME: libraries.folder, FALSE_CUDA_ONCE: at('once') });
  const STAGE = ['--stage', 'gpu,provider=cuda', '--micro-batch', '8', '--force'];

  /** `fault` strikes once, when the first rows are done and before the next are handed over. */
  async function run(out: string, fault: string | null): Promise<Summary> {
    const args = ['run', 'mlp', '-i', '-', '-o', out, ...STAGE, '--json', '--metrics-port', '0'];
    const { child, ended, says } = start(process.execPath, [TANDEM, ...args], {
      cwd: libraries.folder,
      env: environment(),
    });
    let said = '';
    child.stderr!.on('data', (text) => {
      said += text;
    });
    await says('/metrics');
    const [url] = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(said)!;
    child.stdin!.write(ROW.repeat(16));
    while (!/^tandem_rows_total [1-9]/m.test(await (await fetch(url)).text()));
    if (fault !== null) writeFileSync(at('once'), fault);
    child.stdin!.end(ROW.repeat(16));
    const { status, stderr, stdout } = await ended;
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout.toString()) as Summary;
  }

  test('out of memory: the stage goes on with half of the rows at once, and every row has the answer that it has without', async () => {
    const undisturbed = await run('undisturbed.jsonl', null);
    const starved = await run('starved.jsonl', 'cudaStreamSynchronize=2');
    assert.ok(!existsSync(at('once')), 'the fault has struck');
    assert.equal(undisturbed.stages[0]!.rowsAtOnce, null);
    assert.equal(starved.stages[0]!.rowsAtOnce, 4);
    assert.deepEqual([starved.rows, starved.failedRows], [32, 0]);
    assert.equal(readFileSync(at('starved.jsonl'), 'utf8'), readFileSync(at('undisturbed.jsonl'), 'utf8'));
  });

  test('a trial run that fails does not mean that the card computes: the stage is refused', async () => {
    const env = { ...environment(), FALSE_CUDA_FAIL: PRODUCTS_FAIL };
    const { status, stderr } = await tandem(['run', 'mlp', '-i', 'rows.npy', '-o', 'out.npy', ...STAGE, '-q'], {
      cwd: libraries.folder,
      env,
    });
    assert.equal(status, 78, stderr);
    assert.match(stderr, /a device that could not be found out: a trial run failed[\s\S]*\[TANDEM_DEVICE_FALLBACK\]/);
  });

  test('a failure of CUDA without a meaning of its own is not told as a fault of the model', async () => {
    const env = { ...environment(), FALSE_CUDA_FAIL: 'cudaStreamSynchronize=1' };
    const ended = await tandem(['run', 'mlp', '-i', 'rows.npy', '-o', 'out.npy', ...STAGE, '-q'], {
      cwd: libraries.folder,
      env,
    });
    assert.equal(ended.status, 1, ended.stderr);
    assert.match(ended.stderr, /CUDA failed[\s\S]*\[TANDEM_ENGINE_FAILED\]/);
    assert.doesNotMatch(ended.stderr, /onnx\.checker/);
  });

  test('CUDA counts the cards by the PCI bus, in threads and in processes; an order that the user has set stays', async () => {
    const orderIn = async (isolation: string, order?: string) => {
      const env = { ...environment(), FALSE_CUDA_ORDER: at('order'), CUDA_DEVICE_ORDER: order };
      const flags = [...STAGE, '--isolation', isolation, '-q'];
      const { status, stderr } = await tandem(['run', 'mlp', '-i', 'rows.npy', '-o', 'out.npy', ...flags], {
        cwd: libraries.folder,
        env,
      });
      assert.equal(status, 0, stderr);
      return readFileSync(at('order'), 'utf8');
    };
    assert.equal(await orderIn('thread'), 'PCI_BUS_ID');
    assert.equal(await orderIn('process'), 'PCI_BUS_ID');
    assert.equal(await orderIn('process', 'FASTEST_FIRST'), 'FASTEST_FIRST');
  });
});
