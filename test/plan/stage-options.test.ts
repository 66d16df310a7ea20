/** A stage means the same wherever it stands: in a flag, the config file, a program, a plan file, a printed command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { parseStages } from '../../src/cli/stage-flag.js';
import {
  checkStage,
  keptOptions,
  plannedSettings,
  type StageOptions,
  stageEntry,
  stageText,
} from '../../src/plan/stage-options.js';

const count = (max: number) => fc.integer({ min: 1, max });
const stages: fc.Arbitrary<StageOptions> = fc.record(
  {
    device: fc.constantFrom('cpu', 'gpu', 'gpu:1'),
    layers: fc.tuple(fc.nat(99), fc.nat(99)).map(([from, more]) => ({ from, to: from + more })),
    memory: fc.oneof(
      fc.nat(2 ** 40),
      fc.nat(99).map((n) => n * 2 ** 30),
    ),
    threads: count(1024),
    workers: count(1024),
    provider: fc.constantFrom('webgpu', 'cuda'),
    turns: count(1000),
  },
  { requiredKeys: ['device'] },
);

const given = (stage: object) => Object.fromEntries(Object.entries(stage).filter(([, value]) => value !== undefined));

test('what is written as a flag is read as it was, and files and programs may give the same', () => {
  fc.assert(
    fc.property(stages, (stage) => {
      assert.deepEqual(given(parseStages(stageText(stage))[0]!), given(stage));
      assert.deepEqual(given(stageEntry(z).parse(stage)), given(stage));
      checkStage(stage, 'stages[0]');
    }),
  );
});

test('a plan file has all that planning settles, and what else was said', () => {
  const planned = z.object({ device: z.string(), ...plannedSettings(z) });
  const settled = { layers: { from: 0, to: 1 }, threads: 1, workers: 1, provider: 'cuda' };
  fc.assert(
    fc.property(stages, (stage) => {
      const whole = { ...settled, ...given(stage) };
      assert.deepEqual(planned.parse(whole), whole);
      const { layers, threads, workers, provider, device, ...others } = whole as StageOptions;
      assert.deepEqual(keptOptions(whole as StageOptions), others);
    }),
  );
  for (const key of Object.keys(settled)) {
    assert.equal(planned.safeParse({ device: 'cpu', ...settled, [key]: undefined }).success, false, key);
  }
});

test('what is no setting, or too much of one, is refused in a file and of a program', () => {
  const entry = stageEntry(z);
  for (const wrong of [{ turn: 2 }, { threads: 0 }, { threads: 1025 }, { turns: 1001 }, { memory: -1 }]) {
    assert.equal(entry.safeParse({ device: 'cpu', ...wrong }).success, false, JSON.stringify(wrong));
  }
  for (const wrong of [{ threads: 0 }, { workers: 1.5 }, { turns: 1001 }]) {
    assert.throws(() => checkStage({ device: 'cpu', ...wrong }, 'stages[3]'), {
      code: 'TANDEM_USAGE',
      message: /^stages\[3\]\.(threads|workers|turns) is [\d.]+, not a whole number from 1 to 1,0/,
    });
  }
});
