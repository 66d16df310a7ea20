/** A card that changes in mid-run as a person meets it: the WebGPU provider on a software adapter, whose memory and clock a false NVML reports. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import type { Summary } from '../../src/job/summary.js';
import { FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';
import { useSoftwareCard } from '../fixtures/software-card.js';
import { start, TANDEM } from './tandem-process.js';

const card = useSoftwareCard();
const CARD = { name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', total: 6144, cc: '7.5', process: 516 };
const ROW = `${JSON.stringify(Array.from({ length: 16 }, (_, n) => n / 16))}\n`;

describe('a card in mid-run', { skip: card.skip || whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
    makeOnnx('mlp', `${libraries.folder}/mlp`);
  });
  after(() => libraries[Symbol.dispose]());

  /** The card is `before` until the first rows are done, and then `meanwhile`. */
  async function run(meanwhile: typeof CARD & { used?: number; throttle?: number }, ...flags: string[]) {
    libraries.reports({ cards: [CARD] });
    const args = ['run', 'mlp', '-i', '-', '-o', 'out.jsonl', '--force', '--micro-batch', '4', '--allow-fallback'];
    const { child, ended, says } = start(
      process.execPath,
      [TANDEM, ...args, '--stage', 'gpu,provider=webgpu', '--metrics-port', '0', ...flags],
      { cwd: libraries.folder, env: { ...libraries.env, XDG_CACHE_HOME: libraries.folder } },
    );
    let said = '';
    child.stderr!.on('data', (text) => {
      said += text;
    });
    await says('/metrics');
    const [url] = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(said)!;
    child.stdin!.write(ROW.repeat(8));
    // Asked until rows have gone through.
    while (!/^tandem_rows_total [1-9]/m.test(await (await fetch(url)).text()));
    libraries.reports({ cards: [meanwhile] });
    child.stdin!.end(ROW.repeat(8));
    return ended;
  }

  test('memory that others take is named with what was left, and stands in --json', async () => {
    const { status, stderr, stdout } = await run({ ...CARD, used: 4096 }, '--json');
    assert.equal(status, 0, stderr);
    const { cards } = JSON.parse(stdout.toString()) as Summary;
    assert.equal(cards[0]!.takenByOthersBytes, 4096 * 2 ** 20, JSON.stringify(cards));
    assert.equal(cards[0]!.heldBytes, 516 * 2 ** 20);
    assert.match(
      cards[0]!.notes[0]!,
      /other programs took 4\.0 GiB of gpu while this ran; at least 1\.5 GiB of 6\.0 GiB stayed free/,
    );
  });

  test('a card that the driver holds back is named with its reason', async () => {
    const { status, stderr } = await run({ ...CARD, throttle: 0x20 });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /the driver held gpu back in \d+ % of the time: it is hot/);
  });
});
