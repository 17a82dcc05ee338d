import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { PrefixNode, Report } from '../../src/inspect/report.js';
import { emptyReport, HOSTILE, makeReport, oneKeyReport } from '../support/report.js';
import { colours, frames, open } from './chromium.js';

const FULL = { history: true, baseline: true, shards: 6, hostile: true } as const;

/** Texts of elements, with plain spaces. */
const texts = async (page: Page, selector: string): Promise<string[]> =>
  (await page.locator(selector).allInnerTexts()).map((text) => text.replaceAll('\u00a0', ' ').trim());
const text = async (page: Page, selector: string): Promise<string> => (await texts(page, selector)).join('\n');
const prefixes = (page: Page): Promise<string[]> => texts(page, '.explorer tbody .name');
const column = (page: Page, section: string, id: string): Promise<string[]> => texts(page, `${section} tbody .c-${id}`);
const selected = (page: Page): Promise<string[]> => texts(page, '.explorer tr[aria-selected=true] .name');
const trail = (page: Page): Promise<string[]> => texts(page, '.trail > *');

describe('what it says', () => {
  test('a sentence, five numbers, and marks', async () => {
    const page = await open(makeReport(FULL));
    expect(await text(page, 'h1')).toBe('21.7 million keys, 49.6 GB in memory; 43 % of it under session:*, of which 64 % never expires.');
    expect(await page.locator('.figure dt').allInnerTexts()).toEqual([
      'Keys',
      'Memory',
      'Largest key',
      'Expiring within 24 h',
      'Shards out of balance',
    ]);
    expect(await texts(page, '.figure .value')).toEqual(['21,673,547', '49.6 GB', '1.18 GB', '9.25 GB', '0 of 6']);
    expect(await texts(page, '.marks a')).toEqual(['3 warnings', '4 suggestions, up to 15.7 GB saved', '5.95 GB more than before']);
    expect(await page.locator('h2').allInnerTexts()).toEqual([
      'Prefixes',
      'Health and advice',
      'Types and encodings',
      'Biggest keys',
      'Time',
      'Balance of a cluster',
      'Changes since the baseline',
      'Files',
    ]);
  });

  test('what is a sample, and what is damaged', async () => {
    const page = await open(makeReport({ sample: true, damaged: true }));
    expect(await text(page, 'h1')).toMatch(/^About /);
    const marks = await texts(page, '.marks a');
    expect(marks[0]).toBe('Incomplete: counts only what could be read');
    expect(marks[1]).toMatch(/^Sample of 1\.0 %: [\d,]+ keys looked at; amounts scaled up$/);
    expect(await text(page, '.figure:first-child .sub')).toMatch(/^estimated, ±0\.\d %$/);
    expect(await text(page, '#files .finding')).toBe('1 of 2 files was not read to the end: nothing after the damage is counted.');
    expect(await text(page, '#files .warnings')).toContain('unexpected end of file');
  });

  test('no keys', async () => {
    const page = await open(emptyReport());
    expect(await text(page, 'h1')).toBe('No keys.');
    expect(await page.locator('h2').allInnerTexts()).toEqual(['Prefixes', 'Health and advice', 'Files']);
  });

  test('one key', async () => {
    const page = await open(oneKeyReport());
    expect(await text(page, 'h1')).toBe('One key, 56 B in memory: foo, a string.');
    expect(await prefixes(page)).toEqual(['all keys']);
    expect(await colours(page, '.stage canvas')).toBeGreaterThan(0);
    expect(await column(page, '#keys', 'key')).toEqual(['foo']);
  });
});

describe('charts', () => {
  test.each(['light', 'dark'] as const)('are drawn, %s', async (colorScheme) => {
    const page = await open(makeReport({ ...FULL, hostile: false }), { colorScheme });
    expect(await page.evaluate(() => document.documentElement.dataset['theme'])).toBe(colorScheme);
    expect(await colours(page, '.stage canvas')).toBeGreaterThan(8);
    expect(await colours(page, '.heat')).toBeGreaterThan(20);
    const charts = await page.locator('.chart').count();
    expect(charts).toBe(5); // expiry, idle times, and three of the history
    for (let i = 0; i < charts; i++) {
      await page.evaluate((i) => document.querySelectorAll('.chart canvas')[i].setAttribute('data-chart', String(i)), i);
      expect(await colours(page, `[data-chart="${i}"]`)).toBeGreaterThan(2);
    }
    expect(await page.locator('.shard').count()).toBe(6);
    await page.fill('#shard-count', '24');
    expect(await page.locator('.shard').count()).toBe(24);
  });

  test('the switch of the theme draws them anew', async () => {
    const page = await open(makeReport(), { colorScheme: 'light' });
    const middle = () =>
      page.evaluate(() => [
        ...(document.querySelector<HTMLCanvasElement>('.stage canvas')?.getContext('2d')?.getImageData(60, 120, 1, 1).data ?? []),
      ]);
    const light = await middle();
    await page.click('header button[data-value=dark]');
    await frames(page);
    expect(await middle()).not.toEqual(light);
    await page.click('header button[data-value=light]');
    await frames(page);
    expect(await middle()).toEqual(light);
  });

  test('the area and the colour can mean something else', async () => {
    const page = await open(makeReport());
    const picture = () => page.evaluate(() => document.querySelector<HTMLCanvasElement>('.stage canvas')?.toDataURL());
    const seen = new Set([await picture()]);
    for (const value of ['keys', 'elements', 'ttl']) {
      await page.click(`.tools button[data-value=${value}]`);
      await frames(page);
      seen.add(await picture());
    }
    expect(seen.size).toBe(4);
    expect(await text(page, '.explorer .legend')).toContain('none expire');
  });

  test('of 2,000 prefixes, none is drawn again where the pointer moves', async () => {
    const page = await open(makeReport({ prefixes: 1950 }));
    await page.locator('.stage').focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowRight'])
      await page.keyboard.press(key);
    await page.keyboard.press('Enter');
    expect(await trail(page)).toEqual(['All keys', '1,950 smaller']);
    await frames(page);
    const [filled, outlined] = await page.evaluate(async () => {
      const calls = { fill: 0, stroke: 0 };
      const drawing = CanvasRenderingContext2D.prototype as unknown as Record<keyof typeof calls, (this: unknown) => void>;
      for (const name of ['fill', 'stroke'] as const) {
        const draw = drawing[name];
        drawing[name] = function () {
          calls[name]++;
          draw.call(this);
        };
      }
      const canvas = document.querySelector('.stage canvas');
      const { left, top, width, height } = canvas?.getBoundingClientRect() ?? new DOMRect();
      for (let i = 0; i < 60; i++) {
        const [clientX, clientY] = [left + (width * i) / 60, top + (height * ((i * 7) % 60)) / 60];
        canvas?.dispatchEvent(new PointerEvent('pointermove', { clientX, clientY, bubbles: true }));
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return [calls.fill, calls.stroke];
    });
    expect(filled).toBe(0);
    expect(outlined).toBeGreaterThan(30);
  });
});

describe('prefixes', () => {
  test('the treemap zooms in and back, and the table goes with it', async () => {
    const page = await open(makeReport());
    expect((await prefixes(page)).slice(0, 3)).toEqual(['session:', 'user:', 'cache:']);
    await page.locator('.stage canvas').click({ position: { x: 100, y: 200 } });
    expect(await trail(page)).toEqual(['All keys', 'session:']);
    expect(await prefixes(page)).toEqual(['*', 'token:', 'index:']);
    expect(await selected(page)).toEqual(['*']);
    expect(await text(page, '.detail-name')).toBe('session:*');
    await page.locator('.trail button').first().click();
    expect(await trail(page)).toEqual(['All keys']);
    expect(await selected(page)).toEqual(['session:']);
  });

  test('the table selects in the treemap, and the other way round', async () => {
    const page = await open(makeReport());
    const picture = () => page.evaluate(() => document.querySelector<HTMLCanvasElement>('.stage canvas')?.toDataURL());
    const before = await picture();
    await page.locator('.explorer tbody tr', { hasText: 'ratelimit:' }).click();
    await page.mouse.move(0, 0);
    await frames(page);
    expect(await picture()).not.toBe(before);
    expect(await text(page, '.detail-name')).toBe('ratelimit:*');
    await page.locator('.stage').focus();
    await page.keyboard.press('ArrowLeft');
    expect(await selected(page)).toHaveLength(1);
    expect(await selected(page)).not.toEqual(['ratelimit:']);
  });

  test('by keyboard', async () => {
    const page = await open(makeReport());
    await page.locator('.stage').focus();
    await page.keyboard.press('ArrowRight');
    expect(await selected(page)).toEqual(['session:']);
    await page.keyboard.press('ArrowRight');
    expect(await selected(page)).toEqual(['user:']);
    expect(await text(page, '#status')).toMatch(/^user:: 5\.20 GB, 14 % of all memory, /);
    await page.keyboard.press('Enter');
    expect(await trail(page)).toEqual(['All keys', 'user:']);
    await page.keyboard.press('Enter');
    expect(await trail(page)).toEqual(['All keys', 'user:', '*:']);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    expect(await trail(page)).toEqual(['All keys']);
    expect(await selected(page)).toEqual(['user:']);
    await page.keyboard.press('Escape');
    expect(await trail(page)).toEqual(['All keys']);
  });

  test('small ones are one area, which a click takes apart', async () => {
    const page = await open(makeReport());
    const box = await page.locator('.stage canvas').boundingBox();
    await page.mouse.click((box?.x ?? 0) + (box?.width ?? 0) - 8, (box?.y ?? 0) + (box?.height ?? 0) - 8);
    expect(await trail(page)).toEqual(['All keys', '180 smaller']);
    expect(await text(page, '.explorer .counts')).toBe('180 rows');
    const [first] = await prefixes(page);
    await page.locator('.stage canvas').click({ position: { x: 20, y: 20 } });
    expect(await selected(page)).toEqual([first]);
    expect(await trail(page)).toEqual(['All keys', '180 smaller']);
    await page.keyboard.press('Escape');
    expect(await trail(page)).toEqual(['All keys']);
    expect(await text(page, '.explorer .counts')).toBe('191 rows');
  });

  test('a search finds prefixes at any depth, and selecting one goes there', async () => {
    const page = await open(makeReport());
    await page.fill('#prefix-search', 'PROFILE');
    expect(await prefixes(page)).toEqual(['user:*:profile']);
    await page.locator('.explorer tbody .name').click();
    expect(await trail(page)).toEqual(['All keys', 'user:', '*:']);
    await page.fill('#prefix-search', '');
    expect(await selected(page)).toEqual(['profile']);
    await page.fill('#prefix-search', 'nothing like it');
    expect(await text(page, '.explorer tbody')).toBe('No prefixes below this one');
  });

  test('sorting, and the numbers of rows', async () => {
    const page = await open(makeReport());
    await page.locator('.explorer th.c-prefix button').click();
    const names = await prefixes(page);
    expect(names).toEqual([...names].sort());
    expect(await page.locator('.explorer th.c-prefix').getAttribute('aria-sort')).toBe('ascending');
    await page.locator('.explorer th.c-prefix button').click();
    expect((await prefixes(page))[0]).toBe('user:');
    expect(await text(page, '.explorer .counts')).toBe('191 rows');
  });

  test('those that are not listed are one area and one row', async () => {
    const page = await open(makeReport());
    await page.locator('.explorer tbody tr', { hasText: 'cache:' }).locator('.zoom').click();
    expect(await prefixes(page)).toContain('others (412 prefixes)');
  });
});

describe('tables', () => {
  test('the biggest keys by three measures, sorted and searched', async () => {
    const page = await open(makeReport());
    expect((await column(page, '#keys', 'memory')).slice(0, 2)).toEqual(['1.18 GB', '552 MB']);
    expect(await column(page, '#keys', 'key')).toHaveLength(20);
    await page.click('#keys .more');
    expect(await column(page, '#keys', 'key')).toHaveLength(40);
    await page.click('#keys button[data-value=largest]');
    expect(await page.locator('#keys th[aria-sort=descending]').innerText()).toContain('Largest element');
    await page.click('#keys th.c-key button');
    const keys = await column(page, '#keys', 'key');
    expect(keys).toEqual([...keys].sort());
    await page.fill('#keys input[type=search]', 'queue');
    expect(new Set((await column(page, '#keys', 'type')).map((name) => name.trim()))).toEqual(new Set(['list']));
    expect(await text(page, '#keys .counts')).toBe('8 of 40 rows');
  });

  test('are copied as CSV that no spreadsheet takes for formulas, and keys with escapes', async () => {
    const page = await open(makeReport({ hostile: true }), { permissions: ['clipboard-read', 'clipboard-write'] });
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await page.click('#keys .csv');
    const lines = (await clipboard()).split('\r\n');
    expect(lines[0]).toBe('"Key","Type","Encoding","Memory","Elements","Largest element","In the file","Expires","Idle","Slot","File"');
    expect(lines).toHaveLength(42);
    expect(lines[3]).toMatch(/^"line one\\nline two\\r\\n\\ttabbed","hash",/);
    expect(lines[5]).toMatch(/^"""quoted"" & /);
    expect(lines[6]).toMatch(/^"'=HYPERLINK\(""x""\)",/);
    const copied = async (row: number) => {
      await page.locator('#keys .copy').nth(row).click();
      return clipboard();
    };
    expect(await copied(0)).toBe(HOSTILE[0]);
    expect(await copied(1)).toBe('base64:/wD+gICA');
    expect(await copied(2)).toBe('"line one\\nline two\\r\\n\\ttabbed"');
    expect(await copied(3)).toBe('"invoice\\u202efdp.exe"');
    expect(await text(page, '#toast')).toBe('Copied the key');
  });
});

test('hostile names are text everywhere', async () => {
  const report = makeReport({ ...FULL, damaged: true });
  const all = {
    ...report,
    functions: HOSTILE.map((name) => ({ name, source: name, bytes: 1 })),
    sources: report.sources.map((source, i) => ({ ...source, name: HOSTILE[i] })),
  };
  const page = await open({
    ...all,
    types: all.types.map((type) => ({ ...type, type: HOSTILE[0] })),
    modules: [{ ...all.modules[0], module: HOSTILE[0] }],
  });
  expect(await page.evaluate(() => [document.querySelectorAll('img, b b, #page script').length, document.scripts.length])).toEqual([0, 2]);
  const keys = await column(page, '#keys', 'key');
  expect(keys.slice(0, 4)).toEqual([
    '</script><img src=x onerror=alert(1)>',
    'base64:/wD+gICA',
    'line one\\nline two\\r\\n\\ttabbed',
    'invoice\\u202efdp.exe',
  ]);
  expect(keys[6]).toBe('\\u001b[31mred\\u0000');
  expect(await page.locator('#keys .escape').first().innerText()).toBe('\\n');
  expect(await prefixes(page)).toContain('</script><img src=x onerror=alert(1)>');
  expect(await page.title()).toBe('</script><img src=x onerror=alert(1)> and 1 other – rdbkit');
  expect(await page.evaluate(() => /[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText))).toBe(false);
  const boxes = await page.locator('.stage canvas').boundingBox();
  for (let i = 0; i < 12; i++) await page.mouse.move((boxes?.x ?? 0) + 300 + i * 25, (boxes?.y ?? 0) + 150 + i * 10);
  expect(await page.locator('#tip').isVisible()).toBe(true);
});

test('ten million keys under 50,000 prefixes', async () => {
  const next = (i: number) => ((i * 7919) % 50_021) / 50_021;
  const children = Array.from({ length: 50_000 }, (_, i): PrefixNode => {
    const memory = Math.round(2e7 * next(i) ** 8) + 10_000;
    return {
      name: `tenant-${i}:`,
      prefix: `tenant-${i}:`,
      types: { hash: 1 },
      keys: 200,
      withExpiry: 100,
      expired: 0,
      bytes: memory / 2,
      memory,
      elements: 2000,
    };
  }).sort((a, b) => b.memory - a.memory);
  const memory = children.reduce((sum, child) => sum + child.memory, 0);
  const base = makeReport({ top: 1000 });
  const root = { ...base.prefixes.root, keys: 10_000_000, memory, bytes: memory / 2, elements: 1e8, withExpiry: 5_000_000, children };
  const report: Report = {
    ...base,
    totals: { ...base.totals, keys: 10_000_000, withExpiry: 5_000_000 },
    memory: { ...base.memory, keys: memory },
    prefixes: { ...base.prefixes, root, nodes: 50_000, error: { keys: 12, memory: 1900 } },
  };
  const page = await open(report);
  expect(await page.evaluate(() => document.documentElement.outerHTML.length)).toBeLessThan(3_000_000);
  expect(await text(page, 'h1')).toMatch(/^10 million keys, \d+ GB in memory; no prefix has more than 5 % of it; 50 % never expire\.$/);
  expect(await colours(page, '.stage canvas')).toBeGreaterThan(3);
  const pointed: string[] = [];
  for (const i of [0, 1, 2, 3, 4, 5, 6, 7]) {
    await page.locator('.stage canvas').hover({ position: { x: 30 + 3 * i, y: 300 + i } });
    pointed.push(await text(page, '#tip b'));
  }
  expect(pointed.filter((name) => /^tenant-\d+:\*$/.test(name))).not.toEqual([]); // many small ones are not drawn as one
  expect(await text(page, '.explorer .counts')).toBe('2,000 rows');
  expect(await page.locator('.explorer tbody i').allInnerTexts()).toEqual(['others (48,001 prefixes)']);
  expect(await text(page, '#about')).toContain('each may have up to 1.90 kB and 12 keys more than shown');
  expect(await text(page, '#keys .panel')).toContain('800 more keys left out of this page; --format json has them.');
});

describe('on a phone', () => {
  test.each(['light', 'dark'] as const)('nothing is wider than the screen, %s', async (colorScheme) => {
    for (const report of [makeReport({ ...FULL, damaged: true, sample: true }), emptyReport(), oneKeyReport('k'.repeat(400))]) {
      const page = await open(report, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
      const wide = await page.evaluate(() =>
        [...document.querySelectorAll('main *')]
          .filter(
            (element) => element.closest('.scroll, .stack, .file-text, .unseen') === null && element.getBoundingClientRect().right > 390,
          )
          .map((element) => `${element.tagName}.${element.className}`),
      );
      expect(wide).toEqual([]);
    }
  });

  test('a touch zooms', async () => {
    const page = await open(makeReport(), { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    await page.locator('.stage canvas').tap({ position: { x: 60, y: 100 } });
    expect(await trail(page)).toEqual(['All keys', 'session:']);
  });
});

test.each(['light', 'dark'] as const)('texts have a contrast of at least 4.5, %s', async (colorScheme) => {
  const page = await open(makeReport(), { colorScheme });
  const low = await page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    const light = (name: string): number => {
      const hex = style.getPropertyValue(`--${name}`).trim();
      const [r, g, b] = [1, 3, 5]
        .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a: string, b: string): number => {
      const [x, y] = [light(a), light(b)];
      return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    };
    const cells = ['string', 'hash', 'list', 'set', 'zset', 'stream', 'module', 'array', 'bitmap', 'other', 'mixed'].map(
      (type) => `type-${type}`,
    );
    const pairs = [
      ...[...cells, 'ttl-never', 'ttl-always'].map((name) => ['cell-text', name]),
      ...['page', 'panel', 'hover', 'accent-pale', 'group-1', 'group-2'].flatMap((name) => [
        ['text', name],
        ['soft', name],
      ]),
      ...['page', 'panel', 'hover'].flatMap((name) => [
        ['accent', name],
        ['bad', name],
        ['good', name],
      ]),
      ['bad', 'bad-pale'],
      ['warn', 'warn-pale'],
      ['good', 'good-pale'],
    ];
    return pairs.filter(([a, b]) => !(contrast(a, b) >= 4.5)).map(([a, b]) => `${a} on ${b}: ${contrast(a, b).toFixed(2)}`);
  });
  expect(low).toEqual([]);
});

test('it can be printed: light, and without what is to be clicked', async () => {
  const page = await open(makeReport({ history: true }), { colorScheme: 'dark' });
  const pdf = await page.pdf({ format: 'A4', printBackground: true });
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  expect(await page.evaluate(() => document.documentElement.dataset['theme'])).toBe('light');
  expect(await page.locator('.csv').first().isVisible()).toBe(false);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  expect(await page.evaluate(() => document.documentElement.dataset['theme'])).toBe('dark');
});
