/** The report page in a real browser: it makes no requests, works by pointer and keys, and hostile text stays text. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import type { RunRecord } from '../../src/report/record.js';
import { reportPage } from '../../src/report/report-page.js';
import { type Look, noBrowser, openBrowser, openPage } from './browser.js';
import { sampleRecord } from './sample-record.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-report-'));
let browser: Browser;
before(async () => {
  if (!noBrowser) browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

let files = 0;
/** Opens the record's page, runs the steps of a test, and asserts that the page had no faults. */
async function look(record: RunRecord, what: (page: Page) => Promise<void>, how: Look = {}): Promise<void> {
  const file = join(folder, `${files++}.html`);
  writeFileSync(file, reportPage(record));
  const { page, faults, close } = await openPage(browser, pathToFileURL(file).href, how);
  await what(page);
  assert.deepEqual(faults, []);
  await close();
}

const board = (page: Page) => page.getByRole('application', { name: 'Timeline' });
const card = (page: Page) => board(page).locator('.card');
const statusText = (page: Page) => page.locator('#timeline [role=status]');

/** Settles when the page has repainted after its events. */
const drawn = (page: Page) =>
  page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))');

/** The micro-batches that the timeline shows now, from its table. */
async function inView(page: Page): Promise<number[]> {
  await drawn(page);
  const details = page.locator('#timeline details');
  if ((await details.getAttribute('open')) !== null) {
    await details.locator('summary').click();
    await drawn(page);
  }
  await details.locator('summary').click();
  await drawn(page);
  const numbers = await details.locator('tbody tr td:first-child').allTextContents();
  return [...new Set(numbers.map((text) => Number(text.replaceAll(',', ''))))].sort((a, b) => a - b);
}

/** Moves the pointer to the middle of a lane, `x` pixels from the left. */
async function pointAt(page: Page, lane: number, x: number): Promise<void> {
  await board(page).scrollIntoViewIfNeeded();
  const { x: left, y: top } = (await board(page).boundingBox())!;
  await page.mouse.move(left + x, top + 26 + lane * 44 + 22);
}

suite('the report page', { skip: noBrowser }, () => {
  for (const width of [1280, 400]) {
    for (const scheme of ['light', 'dark'] as const) {
      test(`${width} pixels wide, ${scheme}: every section is present, nothing is wider than the page, text is readable`, async () => {
        await look(
          sampleRecord(),
          async (page) => {
            const headings = await page.getByRole('heading', { level: 2 }).allTextContents();
            assert.deepEqual(headings, [
              'Timeline',
              'Plan',
              'Throughput',
              'Predicted and measured',
              'Errors',
              'Machine and command',
            ]);
            assert.equal(await page.title(), 'bert-base · tandem');
            const [wide, paper, ...inks] = (await page.evaluate(`[
              document.documentElement.scrollWidth,
              getComputedStyle(document.body).backgroundColor,
              getComputedStyle(document.body).color,
              ...[...document.querySelectorAll('.quiet, .figures b, a, button, .good')].map((each) => getComputedStyle(each).color),
            ]`)) as [number, string, ...string[]];
            assert.ok(wide <= width, `${wide} pixels`);
            assert.equal(luminance(paper) > 0.5, scheme === 'light');
            for (const ink of new Set(inks)) assert.ok(contrast(ink, paper) >= 4.5, `${ink} on ${paper}`);
          },
          { width, scheme },
        );
      });
    }
  }

  test('pointing at a box shows stage, micro-batch, rows and microseconds; pointing at a gap shows the wait', async () => {
    await look(sampleRecord(), async (page) => {
      assert.equal(await card(page).isVisible(), false);
      await pointAt(page, 0, 12);
      const text = (await card(page).textContent())!;
      assert.match(text, /^micro-batch 0 in stage 0 gpu/);
      assert.match(text, /computed in24,000\sµs/);
      assert.match(text, /rows64/);
      await pointAt(page, 1, 12);
      assert.match((await card(page).textContent())!, /stage 1 cpu waits.*until the first micro-batch/);
      await page.mouse.move(5, 5);
      assert.equal(await card(page).isVisible(), false);
    });
  });

  test('with keys only: move along a lane and from stage to stage, to both ends, zoom, and clear the selection', async () => {
    await look(sampleRecord(), async (page) => {
      await board(page).focus();
      const press = async (key: string, expected: RegExp) => {
        await page.keyboard.press(key);
        assert.match((await statusText(page).textContent())!, expected, key);
      };
      await press('ArrowRight', /^micro-batch 0 in stage 0 gpu: computed in 24,000\sµs, rows 64/);
      await press('ArrowRight', /^micro-batch 1 in stage 0/);
      await press('ArrowDown', /^micro-batch 1 in stage 1 cpu/);
      await press('End', /^micro-batch 59 in stage 1/);
      assert.ok((await inView(page)).includes(59), 'the selected micro-batch is brought into view');
      await board(page).focus();
      await press('Home', /^micro-batch 0 in stage 1/);
      assert.ok(await card(page).isVisible());
      await page.keyboard.press('Escape');
      assert.equal(await card(page).isVisible(), false);
      await page.keyboard.press('0');
      assert.equal((await inView(page)).length, 60);
      await board(page).focus();
      await page.keyboard.press('+');
      assert.ok((await inView(page)).length < 60);
    });
  });

  test('buttons, wheel and drag zoom and move', async () => {
    await look(sampleRecord(), async (page) => {
      const first = await inView(page);
      assert.deepEqual([first[0], first.length < 40], [0, true]);
      await page.getByRole('button', { name: 'show the end' }).click();
      assert.equal((await inView(page)).at(-1), 59);
      await page.getByRole('button', { name: 'show all' }).click();
      assert.equal((await inView(page)).length, 60);
      await page.getByRole('button', { name: 'zoom in' }).click();
      const half = await inView(page);
      assert.ok(half.length < 40);
      await pointAt(page, 0, 400);
      await page.keyboard.down('Control');
      await page.mouse.wheel(0, -120);
      await page.keyboard.up('Control');
      const closer = await inView(page);
      assert.ok(closer.length < half.length);
      await pointAt(page, 0, 300);
      await page.mouse.down();
      await pointAt(page, 0, 500);
      await page.mouse.up();
      assert.ok((await inView(page))[0]! < closer[0]!, 'dragging to the right shows earlier times');
    });
  });

  test('the colours can be chosen, and the choice is kept after a reload', async () => {
    await look(sampleRecord(), async (page) => {
      const paper = async () =>
        luminance(String(await page.evaluate('getComputedStyle(document.body).backgroundColor')));
      assert.ok((await paper()) > 0.5);
      await page.getByRole('radio', { name: 'dark' }).check();
      assert.ok((await paper()) < 0.5);
      await page.reload();
      assert.ok((await paper()) < 0.5);
      await page.getByRole('radio', { name: 'auto' }).check();
      assert.ok((await paper()) > 0.5);
      await page.emulateMedia({ colorScheme: 'dark' });
      // Auto follows the system after the event has reached the page.
      await page.locator('html[data-theme=dark]').waitFor();
      assert.ok((await paper()) < 0.5);
    });
  });

  test('throughput can be read by keys and by pointer', async () => {
    await look(sampleRecord(), async (page) => {
      await page.getByRole('application', { name: /^Throughput/ }).focus();
      await page.keyboard.press('Home');
      assert.match(
        (await page.locator('#throughput .reading').textContent())!,
        /^0\sµs to [\d.]+\s\w+: [\d,.]+ rows\/s; stage 0 gpu \d+\s%/,
      );
    });
  });

  test('names and messages with markup or direction marks are shown as text', async () => {
    const evil = '</script><script>window.hit = 1</script><img src="x" onerror="window.hit = 2">\'"&amp;{{script}}';
    const errors = [
      { code: evil, count: 3, examples: [{ index: 0, id: evil, message: `a\u0000b\u001b[31m\u202egnp.exe ${evil}` }] },
    ];
    await look(sampleRecord({ title: evil, deviceName: evil, layerName: evil, errors }), async (page) => {
      assert.equal(await page.locator('h1').textContent(), evil);
      await page.locator('#errors summary').click();
      assert.ok(
        (await page.locator('#errors td').allTextContents()).includes(`a\u2400b\u241b[31m\u25a1gnp.exe ${evil}`),
      );
      assert.equal(await page.evaluate('String(window.hit)'), 'undefined');
      assert.deepEqual(
        await page.evaluate("[document.scripts.length, document.querySelectorAll('img').length]"),
        [2, 0],
      );
    });
  });

  test('a long run shows its beginning and end, and the shares of time between the recorded periods', async () => {
    await look(sampleRecord({ microBatches: 20_000, stageMicros: [800, 900] }), async (page) => {
      assert.match(
        (await page.locator('#timeline-keys').textContent())!,
        /^Of 40,000\sspans [\d,]+ were recorded one by one, in \d+\speriods/,
      );
      await page.getByRole('button', { name: 'show the end' }).click();
      assert.equal((await inView(page)).at(-1), 19_999);
      await page.getByRole('button', { name: 'show all' }).click();
      await pointAt(page, 1, 470);
      assert.match((await card(page).textContent())!, /stage 1 cpu/);
    });
  });

  test('the page names what would help: another cut, or larger micro-batches if the stages are not the bottleneck', async () => {
    const conclusion = (page: Page) => page.locator('.conclusion').textContent();
    await look(sampleRecord({ stageMicros: [10_000, 30_000] }), async (page) =>
      assert.match((await conclusion(page))!, /Stage 1 on cpu is the bottleneck; fewer layers/),
    );
    const slow = sampleRecord({ stageMicros: [10_000, 30_000] });
    const { seconds, rowsPerSecond } = slow.run!.summary;
    const summary = { ...slow.run!.summary, seconds: 4 * seconds, rowsPerSecond: rowsPerSecond / 4 };
    await look({ ...slow, run: { ...slow.run!, summary } }, async (page) =>
      assert.match((await conclusion(page))!, /larger micro-batches/),
    );
  });

  test('the estimate of the plan is compared with the result', async () => {
    await look(sampleRecord(), async (page) => {
      assert.match(
        (await page.locator('#predicted').textContent())!,
        /predicted 2,408 rows\/s with a bubble of 4\s%; 100\s% of that/,
      );
    });
  });

  test('replicas share one part of the bar and show their shares', async () => {
    const parts = (page: Page) =>
      page.getByRole('list', { name: 'Layers by stage' }).getByRole('listitem').allTextContents();
    await look(sampleRecord(), async (page) => assert.deepEqual(await parts(page), ['gpu0–6', 'cpu7–13']));
    await look(sampleRecord({ replicas: true }), async (page) => {
      assert.deepEqual(await parts(page), ['gpu0–6cpu0–6']);
      const facts = await page.locator('#plan article').allTextContents();
      assert.match(facts[0]!, /replica ofstage 1: 3 of 4 micro-batches/);
      assert.match(facts[1]!, /replica ofstage 0: 1 of 4 micro-batches/);
      assert.doesNotMatch((await page.locator('#plan').textContent())!, /cut by/);
      assert.match((await page.locator('#timeline .labels').first().textContent())!, /1 cpureplica of 0/);
    });
  });

  test('rows that change each other are reported, and larger micro-batches are not recommended then', async () => {
    const plan = (page: Page) => page.locator('#plan').textContent();
    const alone = sampleRecord({ batchInvariant: false, microBatchRows: 1 });
    const { seconds, rowsPerSecond } = alone.run!.summary;
    const summary = { ...alone.run!.summary, seconds: 4 * seconds, rowsPerSecond: rowsPerSecond / 4 };
    await look({ ...alone, run: { ...alone.run!, summary } }, async (page) => {
      assert.match(
        (await plan(page))!,
        /depends on the other rows of its micro-batch, so each row was computed alone\./,
      );
      assert.equal(await page.locator('#plan .warning').count(), 0);
      const conclusion = (await page.locator('.conclusion').textContent())!;
      assert.match(conclusion, /no stage had work: a machine without other load would help most/);
      assert.doesNotMatch(conclusion, /larger/);
    });
    await look(sampleRecord({ batchInvariant: false, microBatchRows: 16 }), async (page) =>
      assert.match((await page.locator('#plan .warning').textContent())!, /in micro-batches of 16\srows it differs/),
    );
    await look(sampleRecord({ batchInvariant: true }), async (page) =>
      assert.match((await plan(page))!, /a row’s answer does not depend on the other rows/),
    );
    await look(sampleRecord({ batchInvariant: null }), async (page) =>
      assert.doesNotMatch((await plan(page))!, /other rows/),
    );
  });

  test('an exceeded budget is shown', async () => {
    await look(sampleRecord({ budgetBytes: 2 ** 29 }), async (page) => {
      assert.equal(await page.locator('.memory.over').count(), 2);
      assert.match((await page.locator('.memory').first().textContent())!, /peak 1.2\sGiB · budget 512\sMiB/);
    });
  });

  test('a comparison of figures: a bar for each case, with its spread and its best', async () => {
    const cases = [
      { name: 'whole model', value: 1262, spread: 0.033 },
      { name: 'pipelined', value: 1989, spread: 0.045, ideal: 2042, emphasis: true },
    ];
    const comparisons = [{ title: 'dense-12', unit: 'rows/s', note: 'medians of 7', cases }];
    const record: RunRecord = { ...sampleRecord(), run: null, verdict: ['Take the pipeline.'], comparisons };
    await look(record, async (page) => {
      assert.equal(await page.locator('.conclusion').textContent(), 'Take the pipeline.');
      assert.deepEqual(await page.getByRole('heading', { level: 2 }).allTextContents(), [
        'dense-12',
        'Machine and command',
      ]);
      const [whole, pipelined] = (await page.evaluate(
        "[...document.querySelectorAll('.value')].map((bar) => bar.getBoundingClientRect().width)",
      )) as number[];
      assert.ok(Math.abs(whole! / pipelined! - 1262 / 1989) < 0.02);
    });
  });

  test('threads that prepared the rows have a lane of their own, with what they did', async () => {
    const record = sampleRecord();
    const run = record.run!;
    const spans = {
      lane: [0, 1, 0],
      rows: [32, 32, 8],
      startedAt: [0, 1000, 500_000],
      finishedAt: [9000, 12_000, 700_000],
    };
    const preparing = { what: 'tokenise texts', threads: 2, rows: 72, rowsBefore: 64, busySeconds: 0.22, spans };
    await look({ ...record, run: { ...run, preparing } }, async (page) => {
      const part = page.locator('.preparing');
      const said = (await part.locator('p').textContent())!;
      assert.match(
        said,
        /^To tokenise texts ahead of the stages, 2.threads took 220.ms for 72 rows, after 64.rows for the plan/,
      );
      assert.equal(await part.getByRole('img', { name: /^Thread \d that prepares rows$/ }).count(), 2);
      // The first lane has a short call and a long one, the second only a short one.
      const bars = await Promise.all([0, 1].map((lane) => part.locator('svg').nth(lane).locator('rect').count()));
      assert.ok(bars[0]! > bars[1]! && bars[1]! > 0, bars.join());
    });
  });
});

/** Relative luminance of `rgb(r, g, b)`, as WCAG defines it. */
function luminance(colour: string): number {
  const [r, g, b] = colour
    .match(/\d+/g)!
    .slice(0, 3)
    .map((part) => {
      const share = Number(part) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}
