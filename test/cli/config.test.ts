/** Settings of a run: flags win over the environment, the environment over the file. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { settingsOf } from '../../src/cli/config.js';
import { tempFolder } from '../fixtures/temp-folder.js';

/** What the settings are with this file and environment. */
function settings(t: TestContext, config: unknown, env: NodeJS.ProcessEnv = {}, flags = {}) {
  const file = tempFolder(t)('tandem.config.json');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
  return settingsOf(flags, env, file);
}

test('each setting comes from the first place that has it', (t) => {
  const file = { microBatch: 1, depth: 1, deadline: 1, isolation: 'thread', allowFallback: true, stages: ['cpu'] };
  const env = {
    TANDEM_DEPTH: '2',
    TANDEM_ISOLATION: 'process',
    TANDEM_STAGES: ' gpu  cpu,threads=2 ',
    TANDEM_ALLOW_FALLBACK: 'false',
  };
  const merged = settings(t, file, env, { isolation: 'auto', deadline: 3 });
  const stages = merged.stages!.map(({ device, threads }) => [device, threads]);
  assert.deepEqual(stages, [
    ['gpu', undefined],
    ['cpu', 2],
  ]);
  assert.deepEqual(
    { ...merged, stages: null },
    { microBatch: 1, depth: 2, deadline: 3, isolation: 'auto', allowFallback: false, stages: null },
  );
});

test('nothing is set where there is no file, no variable and no flag; an empty variable is none', (t) => {
  assert.deepEqual(settingsOf({}, { TANDEM_DEPTH: '', TANDEM_DEBUG: '1' }, tempFolder(t)('tandem.config.json')), {});
});

test('a stage is the same as text and as an object', (t) => {
  const text = 'cpu,layers=0..5,memory=6GiB,threads=4,workers=2,provider=tensorflow';
  const object = {
    device: 'cpu',
    layers: { from: 0, to: 5 },
    memory: 6 * 2 ** 30,
    threads: 4,
    workers: 2,
    provider: 'tensorflow',
  };
  const { stages } = settings(t, { stages: [text, object, { ...object, layers: '0..5', memory: '6GiB' }] });
  assert.deepEqual(stages![1], stages![0]);
  assert.deepEqual(stages![2], stages![0]);
});

const WRONG: [config: unknown, message: RegExp, remedy?: RegExp][] = [
  ['{ "depth": 2,', /is not JSON/, /one object/],
  [[], /expected object/],
  [{ microbatch: 2 }, /there is no setting "microbatch"/, /did you mean microBatch\?/],
  [{ zzz: 2 }, /there is no setting "zzz"/, /^there are stages, microBatch/],
  [{ constructor: 2 }, /there is no setting "constructor"/],
  [{ depth: '2' }, /: depth: expected number, received string/],
  [{ depth: 0 }, /: depth: .*>=1/],
  [{ isolation: 'proces' }, /: isolation: .*"process"/],
  [{ allowFallback: 'yes' }, /: allowFallback: expected boolean/],
  [{ stages: 'cpu' }, /: stages: expected array/],
  [{ stages: [3] }, /: stages\[0\]: write "cpu,threads=2", or/],
  [{ stages: ['cpu', 'tpu'] }, /: stages\[1\]: "tpu" is not a device/, /cpu, gpu/],
  [{ stages: ['cpu', { device: 'tpu' }] }, /: stages\[1\]: "tpu" is not a device/, /cpu, gpu/],
  [{ stages: [{ device: 'cpu', thread: 2 }] }, /: stages\[0\] has no setting "thread"/, /did you mean threads\?/],
  [{ stages: [{ threads: 2 }] }, /: stages\[0\]\.device: expected string/],
  [{ stages: [{ device: 'cpu', layers: { from: 0 } }] }, /: stages\[0\]\.layers\.to: expected number/],
  [{ stages: [{ device: 'cpu', layers: 3 }] }, /: stages\[0\]\.layers: write "0\.\.5"/],
  [{ stages: [{ device: 'cpu', memory: '6G' }] }, /: stages\[0\]: "6G" is not an amount of memory/, /6GiB/],
];

for (const [config, message, remedy = /./] of WRONG) {
  test(`refused: ${typeof config === 'string' ? config : JSON.stringify(config)}`, (t) => {
    assert.throws(
      () => settings(t, config),
      (error: { code: string; message: string; remedy: string }) => {
        assert.equal(error.code, 'TANDEM_USAGE');
        assert.match(error.message, message);
        assert.match(error.message, /tandem\.config\.json/);
        assert.match(error.remedy, remedy);
        return true;
      },
    );
  });
}

test('a variable that is wrong is named, and a file that cannot be read', (t) => {
  const noFile = tempFolder(t)('tandem.config.json');
  const wrong: [string, string, RegExp][] = [
    ['TANDEM_DEPTH', 'deep', /TANDEM_DEPTH "deep" is not a whole number/],
    ['TANDEM_ISOLATION', 'proces', /TANDEM_ISOLATION "proces" is not one of auto, thread, process/],
    ['TANDEM_STAGES', 'cpu tpu', /TANDEM_STAGES tpu: "tpu" is not a device/],
    ['TANDEM_ALLOW_FALLBACK', 'yes', /TANDEM_ALLOW_FALLBACK "yes" is not one of true, false/],
  ];
  for (const [name, value, message] of wrong) {
    assert.throws(() => settingsOf({}, { [name]: value }, noFile), { code: 'TANDEM_USAGE', message });
  }
  mkdirSync(noFile);
  assert.throws(() => settingsOf({}, {}, noFile), { code: 'TANDEM_USAGE', message: /cannot be read/ });
});
