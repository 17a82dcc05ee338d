import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../src/bytes/errors.js';
import { DocsServers, isServerOfDocs, steady } from './support/docs-servers.js';
import { missingServer } from './support/redis-server.js';
import { decodeBytes } from './support/support.js';

const root = join(import.meta.dirname, '..');
const bin = mkdtempSync(join(tmpdir(), 'rdbkit-docs-'));
symlinkSync(join(root, 'bin/rdbkit.js'), join(bin, 'rdbkit'));
afterAll(() => rmSync(bin, { recursive: true }));

const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) => name.endsWith('.md'));
const read = (page: string): string => readFileSync(join(root, page), 'utf8');

type Example = [command: string, output: string];

/** Every `$ command` of a console block, and the output shown. A command goes on behind a backslash at the end of a line. */
const examplesOf = (block: string): Example[] =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const end = /(?<!\\)\n/.exec(text)?.index ?? text.length;
      return [text.slice(0, end), text.slice(end + 1)];
    });

const blocks = (page: string, before: RegExp): string[] => [...read(page).matchAll(/(.*)\n```console\n([^]*?)```/g)].filter(([, line]) => before.test(line)).map(([, , block]) => block);

/** Of the blocks that need no server. */
const examples = (page: string): Example[] => blocks(page, /^(?!<!-- (server|cluster) -->$)/).flatMap(examplesOf);

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

describe.skipIf(missingServer() !== undefined || !isServerOfDocs())('the output shown in the docs is that with a real server', () => {
  for (const scene of ['server', 'cluster'] as const) {
    for (const page of pages) {
      const all = blocks(page, new RegExp(`^<!-- ${scene} -->$`)).map(examplesOf);
      if (all.length === 0) continue;
      test(`${page}: ${scene}`, { timeout: 60_000 }, async () => {
        const servers = await DocsServers.start(scene, root);
        try {
          for (const block of all) {
            const shown = await servers.run(block.map(([command]) => command), `${bin}:${process.env.PATH ?? ''}`);
            expect(block.map(([command], i) => [command, steady(shown[i])])).toEqual(block.map(([command, output]) => [command, steady(output)]));
          }
        } finally {
          await servers.stop();
        }
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
