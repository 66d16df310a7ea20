/**
 * Draws docs/report.png, the picture in the README: a screenshot of the report page of a real run. Needs Chromium.
 *
 *   node dist/scripts/report-picture.js [PICTURE.png]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { CHROMIUM, NO_CHROMIUM } from './chromium.js';
import { makeOnnx } from './make-onnx.js';
import { makeRows } from './make-rows.js';

const root = resolve(import.meta.dirname, '../..');
const [picture = join(root, 'docs/report.png')] = process.argv.slice(2);

/** ResNet-50, two stages of one thread, so that the picture shows uneven stages. */
const ROWS = 96;

if (!CHROMIUM) {
  process.stderr.write(`${NO_CHROMIUM}
`);
  process.exit(78);
}
const folder = mkdtempSync(join(tmpdir(), 'tandem-picture-'));
try {
  await draw(runReported(), CHROMIUM);
  process.stdout.write(`${picture}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

/** Runs `tandem run --report` and returns the page's path. */
function runReported(): string {
  const [model, rows, page] = [join(folder, 'resnet-50'), join(folder, 'rows.npy'), join(folder, 'report.html')];
  makeOnnx('resnet-50', model);
  makeRows(rows, ROWS, [3, 224, 224]);
  const stages = ['--stage', 'cpu,threads=1', '--stage', 'cpu,threads=1', '--micro-batch', '4', '--plan', 'quick'];
  const args = ['run', model, '-i', rows, '-o', join(folder, 'out.npy'), ...stages, '--report', page];
  execFileSync(process.execPath, [join(root, 'dist/bundle/src/cli/tandem.js'), ...args], {
    cwd: folder,
    stdio: 'inherit',
  });
  return page;
}

async function draw(page: string, executablePath: string): Promise<void> {
  const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  try {
    const tab = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 });
    await tab.goto(pathToFileURL(page).href);
    await tab.waitForTimeout(500);
    await tab.screenshot({ path: picture });
  } finally {
    await browser.close();
  }
}
