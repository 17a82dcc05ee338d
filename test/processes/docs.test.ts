import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { examples, pages, read, root } from '../support/docs-pages.js';
import { BIN, PATH } from '../support/processes.js';

/** The age of a file grows. */
const undated = (text: string): string => text.replaceAll(/\(\d+ \w+ ago\)/g, '(5 days ago)');

describe('the output shown in the docs is what the command prints', () => {
  for (const page of pages) {
    for (const [command, output] of examples(page)) {
      test(`${page}: ${command}`, () => {
        const { stdout, stderr } = spawnSync('bash', ['-c', command], { cwd: root, encoding: 'utf8', env: { ...process.env, PATH } });
        const talk = stderr.split('\n').filter((line) => !/^rdbkit: \d+ keys?, /.test(line)).join('\n');
        expect(undated(stdout + talk.replace(/^\n$/, ''))).toBe(undated(output));
      });
    }
  }
});

test('the examples are there to be found', () => {
  expect(pages.flatMap(examples).length).toBeGreaterThan(8);
});

test('--version is that of package.json', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(execFileSync(process.execPath, [BIN, '--version'], { encoding: 'utf8' })).toBe(`${version}\n`);
});
