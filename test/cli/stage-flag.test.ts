/** `--stage DEVICE[,key=value…]`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStages } from '../../src/cli/stage-flag.js';

/** Only what is set. */
function settings(text: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(parseStages(text)[0]!).filter(([, value]) => value !== undefined));
}

test('a device alone, or with any of its settings in any order', () => {
  assert.deepEqual(settings('cpu'), { device: 'cpu' });
  assert.deepEqual(settings('gpu:1,provider=webgpu'), { device: 'gpu:1', provider: 'webgpu' });
  assert.deepEqual(settings('cpu,workers=2,layers=0..5,threads=4,memory=1.5GiB'), {
    ...{ device: 'cpu', workers: 2, threads: 4, memory: 1.5 * 2 ** 30 },
    layers: { from: 0, to: 5 },
  });
});

const WRONG: Record<string, { message: RegExp; remedy: RegExp }> = {
  '': { message: /"" is not a device/, remedy: /cpu, gpu/ },
  'tpu,threads=2': { message: /"tpu" is not a device/, remedy: /cpu, gpu/ },
  'cpu,thread=2': {
    message: /"thread" is not a setting/,
    remedy: /did you mean threads=\? there are layers=, memory=/,
  },
  'cpu,': { message: /"" is not a setting/, remedy: /^there are layers=/ },
  'cpu,constructor=1': { message: /"constructor" is not a setting/, remedy: /there are/ },
  'cpu,threads': { message: /threads has no value/, remedy: /for example: threads=4/ },
  'cpu,layers=': { message: /layers has no value/, remedy: /for example: layers=0\.\.5/ },
  'cpu,threads=2,threads=3': { message: /threads is given twice/, remedy: /once/ },
  'cpu,threads=0': { message: /threads= "0" is not a whole number from 1 to 1,024/, remedy: /for example: 2/ },
  'cpu,workers=1.5': { message: /workers= "1.5" is not a whole number/, remedy: /for example/ },
  'cpu,layers=3': { message: /layers=3 is not a range/, remedy: /layers=0\.\.5/ },
  'cpu,layers=0-3': { message: /layers=0-3 is not a range/, remedy: /layers=0\.\.5/ },
  'cpu,memory=much': { message: /"much" is not an amount of memory/, remedy: /6GiB/ },
};

for (const [text, { message, remedy }] of Object.entries(WRONG)) {
  test(`--stage "${text}" is refused with what is wrong, where, and what is right`, () => {
    assert.throws(
      () => parseStages(text),
      (error: { code: string; message: string; remedy: string }) => {
        assert.equal(error.code, 'TANDEM_USAGE');
        assert.ok(error.message.startsWith(`--stage ${text}: `), error.message);
        assert.match(error.message, message);
        assert.match(error.remedy, remedy);
        return true;
      },
    );
  });
}

test('another place where a stage is written is named instead', () => {
  assert.throws(() => parseStages('tpu', 'stages[1]'), { message: 'stages[1]: "tpu" is not a device' });
});

test('devices joined by a plus are replicas, each with its own settings', () => {
  const set = (stage: object) => Object.fromEntries(Object.entries(stage).filter(([, value]) => value !== undefined));
  assert.deepEqual(parseStages('gpu,layers=0..3,turns=4+cpu,threads=2').map(set), [
    { device: 'gpu', layers: { from: 0, to: 3 }, turns: 4 },
    { device: 'cpu', threads: 2, beside: true },
  ]);
  assert.deepEqual(parseStages('gpu,share=4+cpu').map(set), parseStages('gpu,turns=4+cpu').map(set));
  assert.throws(() => parseStages('gpu,share=4,turns=4+cpu'), { message: /turns is given twice/ });
  assert.throws(() => parseStages('gpu+'), { message: '--stage gpu+: "" is not a device' });
});
