/** `tandem prove` to the end as a person types it: on a software adapter, and over false CUDA and NVML libraries, where every answer is wrong. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasProviderFiles } from '../../src/engine/onnxruntime/cuda-libraries.js';
import type { RunRecord } from '../../src/report/record.js';
import { CUDA_LIBRARIES, FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';
import { useSoftwareCard } from '../fixtures/software-card.js';
import { tempFolder } from '../fixtures/temp-folder.js';
import { assertFails, tandem } from './tandem-process.js';

const card = useSoftwareCard();

/** Held, or not tried because other work on this machine left it no time. */
function assertHeld(record: RunRecord, ...numbers: readonly number[]): void {
  for (const number of numbers) {
    const said = `${outcomes(record)[number]}: ${figures(record, number)}`;
    assert.match(said, /^held|^not tried: the time was up/);
  }
}

/** By number, what became of each claim. */
const outcomes = ({ claims = [] }: RunRecord) =>
  Object.fromEntries(claims.map(({ number, outcome }) => [number, outcome]));
const figures = ({ claims = [] }: RunRecord, number: number) =>
  claims.find((claim) => claim.number === number)!.figures;

test('without a card or an adapter it says so, and what to type; a device that is no card is refused', async (t) => {
  const cwd = tempFolder(t)('');
  const env = { VK_ICD_FILENAMES: '/nowhere.json', LD_LIBRARY_PATH: cwd };
  assertFails(await tandem(['prove', '--device', 'cpu'], { cwd, env }), { status: 2, code: 'TANDEM_USAGE' });
  assertFails(await tandem(['prove', '--minutes', '11'], { cwd, env }), { status: 2, code: 'TANDEM_USAGE' });
});

test('on a software adapter every claim is tried, or says why not; the page and the record have them', {
  skip: card.skip,
}, async (t) => {
  const at = tempFolder(t);
  const { stdout, stderr } = await tandem(['prove', '--minutes', '1.8'], { cwd: at('') });
  const record = JSON.parse(readFileSync(at('tandem-prove.json'), 'utf8')) as RunRecord;
  const found = outcomes(record);
  assert.equal(Object.keys(found).length, 10, stderr);
  for (const number of [1, 4]) assert.equal(found[number], 'not tried', figures(record, number));
  assert.equal(found[2], 'held', figures(record, 2));
  assertHeld(record, 3, 7, 9);
  // The adapter computes on the cores of the CPU stage: what is faster there is chance.
  for (const number of [5, 6]) assert.match(figures(record, number), /rows\/s[\s\S]*times|the time was up/);
  assert.match(figures(record, 10), /rows\/s in the last|the time was up/);
  assert.match(stdout.toString(), / 2 {2}held[\s\S]*computes on SwiftShader/);
  assert.match(readFileSync(at('tandem-prove.html'), 'utf8'), /"outcome":"held"/);
});

const noCuda =
  whyNoFalseLibraries() ||
  (!hasProviderFiles() && "ONNX Runtime's CUDA provider is not installed: npx tandem setup cuda");

describe('over false libraries', { skip: noCuda }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1', ...CUDA_LIBRARIES);
    libraries.reports({ cards: [{ name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', total: 6144, cc: '7.5' }] });
  });
  after(() => libraries[Symbol.dispose]());

  test('wrong answers did not hold; the card, its memory and its budget did', async () => {
    const { status, stderr } = await tandem(['prove', '--minutes', '1.8', '--provider', 'cuda', '-f'], {
      cwd: libraries.folder,
      env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder },
    });
    assert.equal(status, 1, stderr);
    const record = JSON.parse(readFileSync(join(libraries.folder, 'tandem-prove.json'), 'utf8')) as RunRecord;
    const found = outcomes(record);
    assert.equal(found[1], 'held', figures(record, 1));
    assert.match(
      figures(record, 1),
      /RTX 2060; discrete; driver nvidia 580\.65\.06; 6\.0 GiB free of 6\.0 GiB; PCIe 3 x8 of x16; power limit 160 W/,
    );
    assert.equal(found[3], 'did not hold');
    assert.match(figures(record, 3), /BERT by cuda: largest difference[\s\S]*ResNet by cuda: .*libcudnn/);
    assert.equal(found[4], 'held', figures(record, 4));
    assert.match(figures(record, 4), /cuda: held \d+ MiB of memory=\d+MiB/);
    // ResNet has convolutions, and cuDNN is not among the false libraries.
    assert.match(figures(record, 9), /libcudnn/);
  });
});
