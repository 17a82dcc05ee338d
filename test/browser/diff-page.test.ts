import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { openHtml } from './chromium.js';

const EXAMPLE = join(import.meta.dirname, '../../fixtures/example.rdb');
const HOSTILE = [
  '<script>alert(1)</script>:1',
  '"><img src=https://example.com/x onerror=alert(1)>',
  '\u202egnp.exe',
  'a\nb\u001b[31m',
  '&lt;',
  'x'.repeat(5000),
];

const folder = new Folder();
const lines = (keys: readonly { key: string; value?: string; expireAt?: number }[]): string =>
  keys.map((key) => `${JSON.stringify({ db: 0, type: 'string', value: 'x', ...key })}\n`).join('');

beforeAll(() => {
  folder.file('hostile.jsonl', lines(HOSTILE.map((key) => ({ key }))));
  folder.file('empty.jsonl', lines([{ key: 'one' }]));
});
afterAll(() => folder.remove());

/** The page of a comparison. */
async function page(...argv: string[]): Promise<string> {
  await rdbkit(['diff', ...argv, '--html', folder.at('page.html'), '-q']);
  return readFileSync(folder.at('page.html'), 'utf8');
}

const texts = (from: Page, selector: string): Promise<string[]> => from.locator(selector).allInnerTexts();

describe('what it says', () => {
  test('the verdict and the level come first', async () => {
    const same = await openHtml(await page(EXAMPLE, EXAMPLE, '--level', 'values'));
    expect(await texts(same, 'h1')).toEqual(['The same, compared by value']);
    expect(await texts(same, 'header p:first-of-type')).toEqual([
      'Level values: keys, their types, expiries and values were compared, whatever their encoding.',
    ]);
    expect(await same.locator('header').getAttribute('class')).toBe('same');
    expect(await same.locator('#differences').count()).toBe(0);

    const keys = await openHtml(await page(EXAMPLE, EXAMPLE));
    expect(await texts(keys, 'h1')).toEqual(['The same, compared by key']);
    expect(await texts(keys, 'header p')).toContain('Values were not compared.');
  });

  test('the sides, the filters, the kinds of differences, and the keys', async () => {
    const shown = await openHtml(await page(EXAMPLE, folder.at('empty.jsonl'), '--prefix', 'user:', '--prefix', 'o', '--db', '0'));
    expect(await texts(shown, 'h1')).toEqual(['2 keys differ (1 missing, 1 extra), compared by key']);
    expect(await texts(shown, '#sides tbody tr')).toEqual([
      expect.stringMatching(/^source\s.*example\.rdb\sRDB 10, of Redis 7\.0\.15/) as string,
      expect.stringMatching(/^target\s.*empty\.jsonl/) as string,
    ]);
    expect(await texts(shown, '#chosen tbody tr')).toEqual(['--db\t0', '--prefix\tuser:, o']);
    expect(await texts(shown, '#kinds tr.differs')).toEqual([
      'missing: only the source has the key\t1',
      'extra: only the target has the key\t1',
    ]);
    expect((await texts(shown, '#differences tbody .key')).sort()).toEqual(['"one"', '"user:1"']);
    expect(await texts(shown, '#counts tr.differs')).toEqual(['hash\t1\t0\t-1', 'string\t0\t1\t+1']);
  });

  test('numbers, with the prefixes', async () => {
    const shown = await openHtml(await page(EXAMPLE, folder.at('empty.jsonl'), '--level', 'counts'));
    expect(await texts(shown, 'h1')).toEqual([expect.stringMatching(/^\d+ numbers differ, compared by number$/)]);
    expect(await texts(shown, 'header p')).toContain('Keys and values were not compared: equal numbers do not mean equal keys.');
    expect(await texts(shown, '#counts .group')).toEqual(['By database and type', 'By expiry', 'By prefix']);
    expect(await texts(shown, '#counts tr.differs')).toContain('user:\t2\t0\t-2');
    expect(await shown.locator('#kinds').count()).toBe(0);
  });

  test('the first 1,000 differences', async () => {
    folder.file('many.jsonl', lines(Array.from({ length: 1234 }, (_, i) => ({ key: `key:${i}` }))));
    const shown = await openHtml(await page(folder.at('many.jsonl'), folder.at('empty.jsonl')));
    expect(await texts(shown, '#differences h2')).toEqual(['The first 1,000 of 1,235 keys that differ']);
    expect(await shown.locator('#differences tbody tr').count()).toBe(1000);
  });

  test('what was left out', async () => {
    folder.file('expired.jsonl', lines([{ key: 'one' }, { key: 'old', expireAt: 1 }]));
    const shown = await openHtml(await page(folder.at('expired.jsonl'), folder.at('empty.jsonl'), '--sample', '100%'));
    expect(await texts(shown, '#excused p')).toEqual([
      'Expired before the comparison began, and left out: 1 key of the source, 0 of the target.',
    ]);
  });
});

test('keys may have anything in them', async () => {
  for (const level of ['keys', 'counts']) {
    const text = await page(folder.at('hostile.jsonl'), folder.at('empty.jsonl'), '--level', level, '--not-prefix', '<b>&');
    const shown = await openHtml(text);
    expect(text).not.toMatch(/[^\P{C}\n]/u);
    expect(await shown.locator('script, img, b').count()).toBe(0);
    const all = await shown.locator('body').innerText();
    expect(all).toContain('<b>&');
    expect(all).toContain('<script>alert(1)</script>:');
    if (level === 'counts') continue;
    for (const part of [
      '\\"><img src=https://example.com/x onerror=alert(1)>',
      '\\u202egnp.exe',
      'a\\nb\\u001b[31m',
      '"&lt;"',
      '… (5,000 characters)',
    ]) {
      expect(all).toContain(part);
    }
  }
});

/** By WCAG 2: of each text, with the background that it has. */
const contrasts = (shown: Page): Promise<[text: string, contrast: number][]> =>
  shown.evaluate(() => {
    const rgba = (colour: string): number[] => (/\d[\d., ]*/.exec(colour)?.[0] ?? '0,0,0').split(',').map(Number);
    const light = (colour: string): number => {
      const [r, g, b] = rgba(colour).map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element: Element | null): string => {
      for (let at = element; at !== null; at = at.parentElement) {
        const { backgroundColor } = getComputedStyle(at);
        if (rgba(backgroundColor)[3] !== 0) return backgroundColor;
      }
      return 'rgb(255, 255, 255)';
    };
    return [...document.querySelectorAll('h1, h2, p, th, td, footer')].map((element): [string, number] => {
      const [one, other] = [light(getComputedStyle(element).color), light(background(element))].sort((a, b) => b - a);
      return [element.textContent, (one + 0.05) / (other + 0.05)];
    });
  });

describe('how it looks', () => {
  test.each(['light', 'dark'] as const)('texts can be read, %s', async (colorScheme) => {
    const shown = await openHtml(await page(EXAMPLE, folder.at('hostile.jsonl'), '--level', 'counts'), { colorScheme });
    const [, , page1] = await shown.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g)?.map(Number) ?? []);
    expect(page1 < 128).toBe(colorScheme === 'dark');
    const found = await contrasts(shown);
    expect(found.length).toBeGreaterThan(50);
    expect(found.filter(([, contrast]) => contrast < 4.5)).toEqual([]);
  });

  test('a narrow screen is not scrolled sideways', async () => {
    const shown = await openHtml(await page(EXAMPLE, folder.at('hostile.jsonl')), { viewport: { width: 390, height: 800 } });
    expect(await shown.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  });

  test('a long prefix leaves room for the numbers', async () => {
    const long = folder.file('long.jsonl', lines([{ key: `${'p'.repeat(200)}:1` }]));
    const shown = await openHtml(await page(EXAMPLE, long, '--level', 'counts'), { viewport: { width: 390, height: 800 } });
    expect(await shown.evaluate(() => document.querySelector('#counts .wide')?.scrollWidth)).toBeLessThanOrEqual(390);
  });

  test('print is light and shows all of a table', async () => {
    const shown = await openHtml(await page(EXAMPLE, folder.at('hostile.jsonl')), {
      colorScheme: 'dark',
      viewport: { width: 700, height: 900 },
    });
    await shown.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await shown.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe('rgb(246, 247, 249)');
    expect(await shown.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(700);
  });

  test('its colours are those of the page of inspect', () => {
    const css = readFileSync(join(import.meta.dirname, '../../src/page/report.css'), 'utf8');
    const style = readFileSync(join(import.meta.dirname, '../../src/cli/diff-page-style.ts'), 'utf8');
    const colours = (text: string): string[] => text.match(/--[a-z-]+: #[0-9a-f]{6};/g) ?? [];
    expect(colours(style)).toHaveLength(22);
    expect(colours(css)).toEqual(expect.arrayContaining(colours(style)));
  });
});

test('no page of a comparison that did not come to its end', async () => {
  const cut = folder.file('cut.rdb', readFileSync(EXAMPLE).subarray(0, 300));
  await rdbkit(['diff', cut, EXAMPLE, '--html', folder.at('none.html'), '-q']);
  expect(() => readFileSync(folder.at('none.html'))).toThrow('ENOENT');
  expect(() => readFileSync(folder.at('none.html.partial'))).toThrow('ENOENT');
});

test('the page is no source, and no other output', async () => {
  const copy = folder.file('copy.rdb', readFileSync(EXAMPLE));
  expect(await rdbkit(['diff', copy, EXAMPLE, '--html', copy])).toMatchObject({
    code: 2,
    err: expect.stringContaining('--html') as string,
  });
  const both = ['-o', folder.at('x'), '--html', folder.at('x')];
  expect((await rdbkit(['diff', copy, EXAMPLE, ...both])).err).toContain('--output and --html name the same file');
});
