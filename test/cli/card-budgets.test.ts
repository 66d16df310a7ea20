/** A budget on a card as a person meets it: the WebGPU provider on a software adapter, whose memory a false NVML reports. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { useSoftwareCard } from '../fixtures/software-card.js';
import { tandem } from './tandem-process.js';

const card = useSoftwareCard();
const CARD = { name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', total: 6144, cc: '7.5', process: 516 };

describe('a budget on a card', { skip: card.skip || whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
    libraries.reports({ cards: [CARD] });
    makeOnnx('mlp', `${libraries.folder}/mlp`);
    writeFileSync(
      `${libraries.folder}/rows.npy`,
      npyBytes({ descr: '<f4', shape: [16, 16], data: new Uint8Array(1024) }),
    );
  });
  after(() => libraries[Symbol.dispose]());

  function run(...stages: readonly string[]) {
    const args = [
      'run',
      'mlp',
      '-i',
      'rows.npy',
      '-o',
      'out.npy',
      '--force',
      '--allow-fallback',
      '--micro-batch',
      '4',
      '-q',
    ];
    return tandem([...args, ...stages.flatMap((stage) => ['--stage', stage])], {
      cwd: libraries.folder,
      env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder },
    });
  }

  test('is held to what the driver reports once the stage is warm: refused with the budget that would do, which does', async () => {
    const small = await run('gpu,provider=webgpu,layers=0..3,memory=200MiB');
    assert.equal(small.status, 78, small.stderr);
    assert.match(
      small.stderr,
      /stage 0 holds 516MiB on gpu once warm, by its driver, and may hold 200MiB[\s\S]*give it memory=516MiB/,
    );
    const enough = await run('gpu,provider=webgpu,layers=0..3,memory=516MiB');
    assert.equal(enough.status, 0, enough.stderr);
  });

  test('of two stages on one card is that of the card: together more than it has is refused before anything is loaded', async () => {
    const stage = (layers: string) => `gpu,provider=webgpu,layers=${layers},memory=4GiB`;
    const { status, stderr } = await run(stage('0..1'), stage('2..3'));
    assert.equal(status, 78, stderr);
    assert.match(stderr, /2 stages on gpu may hold 8192MiB together; the card has 6144MiB/);
  });
});
