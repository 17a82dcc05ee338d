import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Collector, FIXTURE, Folder, rdbkit } from '../support/cli-support.js';

const EXAMPLE = join(import.meta.dirname, '../../fixtures/example.rdb');
const folder = new Folder();
let less = '';

beforeAll(async () => {
  less = folder.at('less.rdb');
  await rdbkit(['dump', EXAMPLE, '--not-prefix', 'blob:', '-q', '-o', less]);
});
afterAll(() => folder.remove());

const counts = (...argv: string[]) => rdbkit(['diff', EXAMPLE, less, '--level', 'counts', ...argv]);

describe('--level counts', () => {
  test('both sides, the difference, and a mark where they differ', async () => {
    const { code, err, out } = await counts();
    expect(code).toBe(1);
    expect(err).toContain('5 numbers differ: 11 keys of the source and 10 of the target compared by number');
    const marked = out.split('\n').filter((line) => line.startsWith('*'));
    expect(marked.map((line) => line.split(/ {2,}/))).toEqual([
      ['* all keys', '11', '10', '-1'],
      ['* db 0', '10', '9', '-1'],
      ['*', 'string', '4', '3', '-1'],
      ['* without an expiry', '10', '9', '-1'],
      ['* blob:', '1', '0', '-1'],
    ]);
    expect(out).toMatch(/^ {2}user: +2 +2$/m);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('in colour on a terminal, unless NO_COLOR is set', async () => {
    const shown = async (env: Record<string, string>): Promise<string> => {
      const stdout = new Collector();
      stdout.isTTY = true;
      await rdbkit(['diff', EXAMPLE, less, '--level', 'counts'], { stdout, env });
      return stdout.text;
    };
    expect((await shown({})).match(/\u001b\[33m\*.*\u001b\[0m/g)).toHaveLength(5);
    expect(await shown({ NO_COLOR: '1' })).not.toContain('\u001b');
    expect((await counts()).out).not.toContain('\u001b');
  });

  test('as JSON lines, also in a file', async () => {
    const { out } = await counts('--format', 'json');
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(rows).toContainEqual({ group: 'type', db: 0, name: 'string', source: 4, target: 3, difference: -1 });
    expect(rows).toContainEqual({ group: 'prefix', name: 'blob:', source: 1, target: 0, difference: -1 });
    await counts('-o', folder.at('counts.jsonl'));
    expect(readFileSync(folder.at('counts.jsonl'), 'utf8')).toBe(out);
  });

  test('the same', async () => {
    const { code, err, out } = await rdbkit(['diff', FIXTURE, FIXTURE, '--level', 'counts']);
    expect(code).toBe(0);
    expect(err).toContain('the same: 250 keys of the source and 250 of the target compared by number');
    expect(out).not.toContain('*');
  });

  test('--delimiter', async () => {
    const { out } = await rdbkit(['diff', FIXTURE, FIXTURE, '--level', 'counts', '--delimiter', ':}', '--format', 'json']);
    const names = out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { name?: string }).name);
    expect(names.filter((name) => /^\{\w+\}$/.test(name ?? '')).length).toBeGreaterThan(0);
    expect((await counts('--delimiter', 'auto')).err).toContain('--delimiter auto is for inspect: name the characters');
  });

  test('--slots: ranges of slots that have all keys', async () => {
    const { out } = await counts('--slots', '--format', 'json');
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { group: string; source: number; target: number });
    const slots = rows.filter(({ group }) => group === 'slots');
    expect(slots).toHaveLength(16);
    expect(slots.reduce((sum, { source }) => sum + source, 0)).toBe(11);
    expect(slots.reduce((sum, { target }) => sum + target, 0)).toBe(10);
  });

  test.each([['--slots'], ['--delimiter', '/']])('%s goes with no other level', async (...argv) => {
    expect(await rdbkit(['diff', EXAMPLE, less, ...argv])).toMatchObject({
      code: 2,
      err: expect.stringContaining(`${argv[0]} is for --level counts`) as string,
    });
  });

  test('names of prefixes are escaped', async () => {
    const keys = folder.file('keys.jsonl', `${JSON.stringify({ db: 0, key: '\u001b[31m\n:1', type: 'string', value: 'x' })}\n`);
    for (const argv of [[], ['--format', 'json']]) {
      const { out } = await rdbkit(['diff', keys, less, '--level', 'counts', ...argv]);
      expect(out).toContain(argv.length === 0 ? '* \\u001b[31m\\n:' : '"\\u001b[31m\\n:"');
      expect(out).not.toContain('\u001b');
    }
  });

  test('a side that is damaged: no table', async () => {
    const cut = folder.file('cut.rdb', readFileSync(FIXTURE).subarray(0, 20_000));
    expect(await rdbkit(['diff', cut, FIXTURE, '--level', 'counts'])).toMatchObject({ code: 3, out: '' });
  });
});
