/** A real browser for the tests of the report page: Chromium, if it is installed. It records everything that a page must not do. */
import { type Browser, chromium, type Page } from 'playwright-core';
import { CHROMIUM, NO_CHROMIUM } from '../../scripts/chromium.js';

/** Why the tests cannot run here, or false. */
export const noBrowser = CHROMIUM ? false : NO_CHROMIUM;

export function openBrowser(): Promise<Browser> {
  const flags = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking';
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--headless', ...flags.split(' '), '--disable-component-update', '--disable-sync'],
  });
}

export interface Look {
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
}

/** A page and its faults: console messages, errors, policy violations, and network requests. */
export interface Opened {
  readonly page: Page;
  readonly faults: readonly string[];
  close(): Promise<void>;
}

export async function openPage(
  browser: Browser,
  url: string,
  { width = 1280, scheme = 'light' }: Look = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults: string[] = [];
  page.on('console', (message) => faults.push(`console ${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (request.url() !== url) faults.push(`request: ${request.url()}`);
  });
  await page.addInitScript(
    "addEventListener('securitypolicyviolation', ({ violatedDirective }) => console.error('policy: ' + violatedDirective))",
  );
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}
