/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, afterEach, expect } from 'vitest';
import { htmlReport } from '../../src/inspect/html.js';
import type { Report } from '../../src/inspect/report.js';

/** CHROMIUM, or `chromium` on PATH. */
function executable(): string {
  const paths = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium'));
  const found = process.env['CHROMIUM'] ?? paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error('no Chromium: install the package chromium, or name one in CHROMIUM');
  return found;
}

const browser = await chromium.launch({ executablePath: executable(), args: ['--no-sandbox'] });
const folder = mkdtempSync(join(tmpdir(), 'rdbkit-page-'));
/** What each page of this test did that it must not: errors, messages, requests. */
let wrong: string[] = [];

afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  const found = wrong;
  wrong = [];
  expect(found).toEqual([]);
});

/** Opens the page of a report from a file, at 1280 × 800 unless told otherwise. */
export const open = (report: Report, options: BrowserContextOptions = {}): Promise<Page> => openHtml(htmlReport(report), options);

/** The same for a page that is made already. */
export async function openHtml(html: string, options: BrowserContextOptions = {}): Promise<Page> {
  const path = join(folder, 'report.html');
  writeFileSync(path, html);
  return openUrl(pathToFileURL(path).href, options);
}

/** The same for a page that is served; it may ask for what is below its URL. */
export async function openUrl(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  page.on('console', (message) => {
    // of what these tests do
    if (!message.text().includes('willReadFrequently')) wrong.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector('h1') !== null);
  await frames(page);
  return page;
}

/** Forgets what was wrong so far, but for what is not of this kind. */
export function forgive(kind: RegExp): void {
  wrong = wrong.filter((text) => !kind.test(text));
}

/** Two frames: all that was asked for is drawn. */
export const frames = (page: Page): Promise<void> =>
  page.evaluate(() => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve()))));

/** How many different colours a canvas has, of a sample of its points, the background left out. */
export const colours = (page: Page, selector: string): Promise<number> =>
  page.evaluate((selector) => {
    const canvas = document.querySelector<HTMLCanvasElement>(selector);
    const data = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
    const found = new Set<number>();
    for (let i = 0; i < data.length; i += 4 * 7) if (data[i + 3] === 255) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return found.size;
  }, selector);
