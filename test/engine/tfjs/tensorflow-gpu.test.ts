/** tfjs-node-gpu and tfjs-node in one job. Linked to the CPU library it stands in for a machine whose card TensorFlow cannot use. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeModel } from '../../../scripts/make-model.js';
import { makeRows } from '../../../scripts/make-rows.js';
import type { Summary } from '../../../src/job/summary.js';
import { readNvidiaDriver } from '../../../src/machine/cards/nvidia.js';
import { linkTensorflow } from '../../../src/setup/link-tensorflow.js';
import { otherInstall } from '../../fixtures/other-install.js';
import { temporaryFolder, tensorflow } from '../../fixtures/tfjs-runs.js';

const skip = tensorflow.skip || (readNvidiaDriver() !== null && 'a card is here: this is about machines without one');

describe('tfjs-node-gpu without a card', { skip }, () => {
  const folder = temporaryFolder();
  let tandem: string;
  let model: string;
  let input: string;
  before(async () => {
    const install = otherInstall(join(folder.path, 'install'), { copied: ['@tensorflow/tfjs-node-gpu'] });
    tandem = install.tandem;
    // The addon is in the user's cache already: both packages are built from the same sources.
    const packageFolder = install.packageFolder('@tensorflow/tfjs-node-gpu');
    await linkTensorflow({ kind: 'gpu', allowCpuLibrary: true, force: true, packageFolder });
    model = await makeModel('mlp', join(folder.path, 'mlp'));
    input = join(folder.path, 'in.jsonl');
    makeRows(input, 40, [16]);
  });
  after(folder.remove);

  function run(stages: readonly string[], ...flags: string[]) {
    const output = join(folder.path, `${stages.join('-')}.jsonl`.replaceAll(/[,=:]/g, '-'));
    const args = [
      tandem,
      'run',
      model,
      '-i',
      input,
      '-o',
      output,
      '--json',
      ...stages.flatMap((stage) => ['--stage', stage]),
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args, ...flags], { encoding: 'utf8' });
    const read = () => ({ summary: JSON.parse(stdout) as Summary, rows: readFileSync(output, 'utf8') });
    return { status, stderr, read };
  }

  test('a stage that asked for the card is not run elsewhere unasked', () => {
    const { status, stderr } = run(['gpu,layers=0..1', 'cpu,layers=2..3']);
    assert.equal(status, 78, stderr);
    assert.match(stderr, /stage 0 asked for gpu, but tensorflow-gpu would compute on /);
    assert.match(stderr, /--allow-fallback/);
  });

  test('with --allow-fallback both packages compute in one job, and say "cpu" for what they ran on', () => {
    const { status, stderr, read } = run(['gpu,layers=0..1', 'cpu,layers=2..3'], '--allow-fallback');
    assert.equal(status, 0, stderr);
    const { summary, rows } = read();
    assert.equal(summary.isolation, 'process');
    assert.deepEqual(
      summary.stages.map(({ device, provider, ranOn, deviceName }) => [device, provider, ranOn, deviceName]),
      [
        ['gpu', 'tensorflow-gpu', 'cpu', cpus()[0]!.model.trim()],
        ['cpu', 'tensorflow', 'cpu', cpus()[0]!.model.trim()],
      ],
    );
    assert.equal(rows, run(['cpu,layers=0..1', 'cpu,layers=2..3']).read().rows);
  });

  test('several cards are stages of their own, in processes of their own', () => {
    const { status, stderr, read } = run(
      ['gpu:0,layers=0..0', 'gpu:1,layers=1..1', 'cpu,layers=2..3'],
      '--allow-fallback',
    );
    assert.equal(status, 0, stderr);
    assert.deepEqual(
      read().summary.stages.map(({ device }) => device),
      // The first card has one name, however it is asked for.
      ['gpu', 'gpu:1', 'cpu'],
    );
    const refused = run(
      ['gpu:0,layers=0..0', 'gpu:1,layers=1..1', 'cpu,layers=2..3'],
      '--isolation',
      'thread',
      '--allow-fallback',
      '--force',
    );
    assert.equal(refused.status, 2, refused.stderr);
    assert.match(refused.stderr, /gpu:0.*gpu:1.*\n.*--isolation process/s);
  });
});
