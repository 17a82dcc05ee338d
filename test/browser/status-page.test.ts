import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterEach, describe, expect, test } from 'vitest';
import { StatusBoard } from '../../src/status/board.js';
import type { StatusFacts } from '../../src/status/fields.js';
import { StatusServer } from '../../src/status/server.js';
import { byScan, COPY, FACTS, fields, HOSTILE, lane } from '../support/status-facts.js';
import { until } from '../support/until.js';
import { colours, forgive, frames, openUrl } from './chromium.js';

const servers: StatusServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const ANY = { host: '127.0.0.1', port: 0 };

async function serve(board: StatusBoard, port = 0): Promise<StatusServer> {
  const server = await StatusServer.open(board, { ...ANY, port });
  servers.push(server);
  return server;
}

/** A sync that has copied for five minutes, and applied changes for ten. */
function livedBoard(facts: Partial<StatusFacts> = {}): StatusBoard {
  const board = new StatusBoard({ ...FACTS, ...facts });
  const now = Date.now();
  for (let i = 900; i > 0; i--) {
    const wave = Math.sin(i / 25) + Math.sin(i / 7) / 3;
    const ops = Math.round(40_000 + 9000 * wave);
    const isFull = i > 600;
    const lagSeconds = isFull ? 0 : Math.max(0, 0.4 + 0.3 * wave);
    const lanes = [lane({ lagSeconds, lagBytes: isFull ? (900 - i) * 4e5 : lagSeconds * 3e6, opsPerSecond: ops, attached: !isFull })];
    const copy = { keys: Math.min(12_400_000, (900 - i) * 41_000), bytesRead: Math.min(1e9, (900 - i) * 3.3e6), totalBytes: 1e9 };
    const phase = isFull ? { phase: 'full', keysPerSecond: 40_000 + Math.round(6000 * wave), opsPerSecond: 0 } : { opsPerSecond: ops };
    board.take(fields({ ...phase, seconds: 900 - i, lanes }), copy, now - i * 1000);
  }
  return board;
}

async function open(board: StatusBoard, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await openUrl((await serve(board)).url, options);
  await frames(page);
  return page;
}

const texts = async (page: Page, selector: string): Promise<string[]> =>
  (await page.locator(selector).allInnerTexts()).map((text) => text.replaceAll('\u00a0', ' ').trim());
const text = async (page: Page, selector: string): Promise<string> => (await texts(page, selector)).join('\n');
const says = (page: Page, what: RegExp): Promise<void> => until(`the page says ${what}`, async () => what.test(await text(page, 'h1')));

describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
  test('the sentence, numbers, charts and tables', async () => {
    const page = await open(livedBoard(), { colorScheme });
    expect(await page.evaluate(() => document.documentElement.dataset['theme'])).toBe(colorScheme);
    expect(await text(page, 'h1')).toMatch(/^0\.\d\d s late: [\d,]+ writes a second are applied\.$/);
    expect(await page.title()).toMatch(/ late – rdbkit sync$/);
    expect(await texts(page, '.figure dt')).toEqual(['Late', 'Writes a second', 'Not applied', 'Keys copied', 'Not brought over']);
    expect(await page.locator('.chart').count()).toBe(3);
    for (let i = 0; i < 3; i++) {
      await page.evaluate((i) => document.querySelectorAll('.chart canvas')[i].setAttribute('data-chart', String(i)), i);
      expect(await colours(page, `[data-chart="${i}"]`)).toBeGreaterThan(2);
    }
    expect(await texts(page, '#charts .note')).toEqual([
      expect.stringMatching(/^0\.\d\d s now, 0\.\d\d s at most\.$/) as string,
      expect.stringMatching(/^At most 5[\d.,]+ k writes applied, 4[\d.,]+ k keys copied a second\.$/) as string,
      expect.stringMatching(/ now, .* MB at most\.$/) as string,
    ]);
    expect(await texts(page, '#masters tbody .c-master, #masters tbody .c-state')).toEqual(['old:6379', 'connected']);
    expect(await texts(page, '#next li')).toEqual([expect.stringMatching(/^To switch over: stop the writers, /) as string]);
  });
});

test('a source that tells which keys are written', async () => {
  const board = new StatusBoard(FACTS);
  board.take(byScan(), COPY);
  const page = await open(board);
  expect(await text(page, 'h1')).toBe('1,200 keys were told and are fetched again; the oldest 0.80 s ago.');
  expect(await texts(page, '.figure dd')).toEqual(expect.arrayContaining([expect.stringContaining('1,200 keys')]) as string[]);
  expect(await texts(page, '#masters tbody .c-master, #masters tbody .c-state')).toEqual(['old:6379', 'connected']);
});

test('it follows what happens, and the switch of the theme draws the charts anew', async () => {
  const board = new StatusBoard(FACTS);
  const page = await open(board, { colorScheme: 'light' });
  expect(await text(page, 'h1')).toBe('Connecting to redis://old:6379 and redis://new:6379.');
  board.take(fields({ phase: 'full', seconds: 60, keysPerSecond: 120_000, opsPerSecond: 0 }), COPY);
  await says(page, /^Copying: 61 %, 7\.6 million keys so far, about 39 s left\.$/);
  expect(await page.getAttribute('[role=progressbar]', 'aria-valuenow')).toBe('61');
  expect(await text(page, '#status')).toMatch(/^Copying: 61/);

  board.take(fields({ seconds: 61 }), COPY);
  await says(page, /^0\.02 s late: 41,000 writes a second are applied\.$/);
  expect(await text(page, '#status')).toBe('0.02 s late: 41,000 writes a second are applied.');
  await page.locator('summary', { hasText: 'Numbers by minute' }).click();
  expect((await texts(page, '#charts tbody tr')).length).toBeGreaterThan(0);

  board.take(fields({ seconds: 62, lanes: [lane({ connected: false }), lane({ name: 'old:6380' })] }), COPY);
  board.take(fields({ seconds: 74, lanes: [lane({ connected: false }), lane({ name: 'old:6380' })] }), COPY);
  await says(page, /^No connection to old:6379 for 12 s\.$/);
  expect(await page.locator('.verdict.bad').count()).toBe(1);
  expect(await texts(page, '#masters tbody .c-state')).toEqual(['no connection for 12 s', 'connected']);
  expect(await text(page, '#next li.bad')).toContain('See whether old:6379 can be reached from here');

  const pixel = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await pixel();
  await page.locator('header button[data-value=dark]').focus();
  await page.keyboard.press('Enter');
  await frames(page);
  expect(await pixel()).not.toBe(light);
});

test('rdbkit ends: the page says so, keeps what it had, and goes on with the next run', async () => {
  const server = await serve(livedBoard());
  const page = await openUrl(server.url);
  await says(page, / late: /);
  const port = Number(new URL(server.url).port);
  server.close();
  await says(page, /^rdbkit has ended or cannot be reached since \d\d:\d\d:\d\d\. What is below was so before\.$/);
  forgive(/^console: Failed to load resource: net::ERR_/);
  expect(await texts(page, '#masters tbody .c-master')).toEqual(['old:6379']);
  expect(await text(page, '#next')).toContain('The same command goes on where it was');

  const next = new StatusBoard({ ...FACTS, version: '1.2.4' });
  next.take(fields({ lanes: [lane({ lagSeconds: 2 })] }), COPY);
  await serve(next, port);
  await says(page, /^2\.0 s late: /);
  forgive(/^console: Failed to load resource: net::ERR_/);
  expect(await text(page, '.source')).toContain('rdbkit 1.2.4');
});

test('names are text, whatever is in them', async () => {
  const board = livedBoard({ source: HOSTILE[0], target: HOSTILE[1] });
  const lanes = HOSTILE.map((name) => lane({ name }));
  for (const key of HOSTILE) board.name({ db: 0, key, reason: `no room for ${key}` });
  board.take(fields({ seconds: 901, problems: 123, lanes }), COPY);
  const page = await open(board);
  await until('the keys are there', async () => (await page.locator('#problems tbody tr').count()) === HOSTILE.length);
  expect(await text(page, '#problems .finding')).toBe('123 keys; the last 6 are here, all of them on standard error.');
  expect((await texts(page, '#problems tbody .c-key .file-text')).sort()).toEqual(
    [...HOSTILE.slice(0, 2), '\\u202egnp.exe', 'a\\nb\\u001b[31m', ...HOSTILE.slice(4)].sort(),
  );
  expect(await page.locator('#problems .c-reason img, script[src], main img, main script').count()).toBe(0);
  expect(await text(page, '#next li.bad')).toContain('123 keys could not be brought over');
});

test.each([390, 1280, 1920])('%d pixels wide: nothing goes beyond the window, and it can be read', async (width) => {
  const page = await open(livedBoard(), { viewport: { width, height: 900 }, isMobile: width < 600 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(0);
});

test('the page may ask its own server, and nobody else', async () => {
  const page = await openUrl((await serve(livedBoard())).url);
  const asked = await page.evaluate(async () => {
    const status = async (url: string): Promise<number | string> =>
      (await fetch(url).catch((error: unknown) => ({ status: String(error) }))).status;
    return [await status('/status'), await status('http://localhost:1/status')];
  });
  expect(asked).toEqual([200, 'TypeError: Failed to fetch']);
  forgive(/^console: .*Content Security Policy/);
});
