/** What a person sees of their cards: `tandem doctor` and `--stage` over a false NVML. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import type { Diagnosis } from '../../src/cli/diagnosis.js';
import { type FalseDriver, FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';
import { tempFolder } from '../fixtures/temp-folder.js';
import { tandem } from './tandem-process.js';

const RTX_4090 = {
  name: 'NVIDIA GeForce RTX 4090',
  uuid: 'GPU-1a2b',
  bus: '00000000:65:00.0',
  total: 24564,
  cc: '8.9',
};
const RTX_2060 = { name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-3c4d', bus: '00000000:01:00.0', total: 6144, cc: '7.5' };

describe('cards on the command line', { skip: whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
  });
  after(() => libraries[Symbol.dispose]());

  async function doctor(driver: FalseDriver): Promise<Diagnosis> {
    libraries.reports(driver);
    const { stdout } = await tandem(['doctor', '--json'], { cwd: libraries.folder, env: libraries.env });
    return JSON.parse(stdout.toString()) as Diagnosis;
  }

  test('doctor has one line for each card, by the name that --stage takes', async () => {
    const { checks } = await doctor({ cards: [{ ...RTX_2060, used: 144, display: 1 }, RTX_4090] });
    const found = (name: string) => checks.find((check) => check.name === name);
    assert.equal(
      found('gpu')!.found,
      'NVIDIA GeForce RTX 2060; discrete; 5.9 GiB free of 6.0 GiB; compute capability 7.5; drives a screen; driver nvidia 580.65.06; PCI 0000:01:00.0',
    );
    assert.match(found('gpu:1')!.found, /RTX 4090; discrete; 24\.0 GiB free/);
    assert.deepEqual([found('nvidia driver')!.state, found('nvidia driver')!.found], ['ok', '580.65.06']);
  });

  test('doctor names a driver that does not fit its libraries, and what to do', async () => {
    const { checks } = await doctor({ fail: 18 });
    const driver = checks.find(({ name }) => name === 'nvidia driver')!;
    assert.equal(driver.state, 'missing');
    assert.match(driver.found, /Driver\/library version mismatch/);
    assert.match(driver.remedy!, /restart the machine/);
    assert.ok(!checks.some(({ name }) => name === 'gpu'));
  });

  test('a card is asked for by its name; a name that no card has is refused with the cards that are here', async (t) => {
    const at = tempFolder(t);
    await makeOnnx('mlp', at('mlp'));
    libraries.reports({ cards: [RTX_2060, RTX_4090] });
    const plan = (device: string) =>
      tandem(
        [
          'plan',
          at('mlp'),
          '--stage',
          `${device},layers=0..1`,
          '--stage',
          'cpu',
          '--output',
          at('plan.json'),
          '--json',
        ],
        {
          cwd: at(''),
          env: libraries.env,
        },
      );
    const named = await plan('gpu:4090');
    const byName = await plan('gpu:"RTX 4090"');
    const absent = await plan('gpu:Radeon');
    assert.match(byName.stdout.toString(), /"device": ?"gpu:1"/, byName.stderr);
    assert.equal(absent.status, 78);
    assert.match(absent.stderr, /gpu:"Radeon": no card has this name[\s\S]*gpu:1 is NVIDIA GeForce RTX 4090/);
    // Digits alone are a number.
    assert.equal(named.status, 2, named.stderr);
  });
});
