import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../src/bytes/errors.js';
import { bin, examples, pages, read, root } from './support/docs-pages.js';
import { decodeBytes } from './support/support.js';

afterAll(() => rmSync(bin, { recursive: true }));

describe('the output shown in the docs is what the command prints', () => {
  for (const page of pages) {
    for (const [command, output] of examples(page)) {
      test(`${page}: ${command}`, () => {
        const { stdout, stderr } = spawnSync('bash', ['-c', command], { cwd: root, encoding: 'utf8', env: { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` } });
        const talk = stderr.split('\n').filter((line) => !/^rdbkit: \d+ keys?, /.test(line)).join('\n');
        expect(stdout + talk.replace(/^\n$/, '')).toBe(output);
      });
    }
  }
});

test('the examples are there to be found', () => {
  expect(pages.flatMap(examples).length).toBeGreaterThan(8);
});

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

test('--version is that of package.json', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(execFileSync(process.execPath, [join(root, 'bin/rdbkit.js'), '--version'], { encoding: 'utf8' })).toBe(`${version}\n`);
});
