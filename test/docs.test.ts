import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../src/bytes/errors.js';
import { pages, read, root } from './support/docs-pages.js';
import { decodeBytes } from './support/support.js';

test('links between the pages lead somewhere', () => {
  const headings = (page: string): string[] =>
    [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replace(/[^\w\- ]/g, '').replace(/ /g, '-'));
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)]*)\)/g)].flatMap(([, link]) => {
      if (/^https?:/.test(link)) return [];
      const [path, anchor = ''] = link.split('#');
      const target = path === '' ? page : join(page, '..', path);
      try {
        return anchor === '' || headings(target).includes(anchor) ? [void read(target)].slice(1) : [`${page}: ${link}`];
      } catch {
        return [`${page}: ${link}`];
      }
    }),
  );
  expect(broken).toEqual([]);
});

test('every error code is in docs/errors.md', () => {
  const [inputs] = read('docs/errors.md').split('## Errors of servers');
  const listed = [...inputs.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
  expect(listed.sort()).toEqual(Object.keys(ERROR_CODES).sort());
});

describe('fixtures at the top are decoded to the lines beside them, byte for byte', () => {
  const names = readdirSync(join(root, 'fixtures')).filter((name) => name.endsWith('.rdb') || name.endsWith('.jsonl'));
  for (const name of new Set(names.map((file) => file.replace(/\.[^.]+$/, '')))) {
    test(name, async () => {
      const { lines } = await decodeBytes(new Uint8Array(readFileSync(join(root, `fixtures/${name}.rdb`))));
      expect(lines).toBe(read(`fixtures/${name}.jsonl`));
    });
  }
});
