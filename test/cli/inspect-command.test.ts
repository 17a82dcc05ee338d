import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import type { Report } from '../../src/inspect/report.js';
import { aborted, Folder, FIXTURE, rdbkit, type Result } from '../support/cli-support.js';
import { bytes, intStr, le, lzfStr, noise, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());
const root = join(import.meta.dirname, '../..');
const example = join(root, 'fixtures/example.rdb');
const badLzf = join(root, 'fixtures/cases/bad-lzf.rdb');

const inspect = (...argv: string[]): Promise<Result> => rdbkit(['inspect', ...argv]);
async function reported(...argv: string[]): Promise<Report> {
  const { code, err, out } = await inspect(...argv, '--format', 'json', '--quiet');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as Report;
}
const strings = (keys: readonly string[]): Uint8Array =>
  rdb(
    'REDIS0011',
    keys.map((key) => [0, str(key), str('value')]),
  );
const file = (name: string, ...keys: string[]): string => folder.file(name, strings(keys));
const cutFile = (name: string): string => folder.file(name, readFileSync(FIXTURE).subarray(0, 30_000));

describe('the report', () => {
  test('as text, and the summary on standard error', async () => {
    const { code, err, out } = await inspect(example);
    expect(code).toBe(0);
    expect(out).toMatch(/11 keys, [\d.]+ kB in memory, 532 B in the file\n/);
    expect(err).toMatch(/^rdbkit: 11 keys inspected, 708 B, /);
  });

  test('as JSON: one line', async () => {
    const { out } = await inspect(FIXTURE, '--format', 'json');
    expect(out.split('\n')).toHaveLength(2);
    const { complete, format, prefixes, sources, totals } = JSON.parse(out) as Report;
    expect([format, complete, totals.keys, sources[0].checksum, prefixes.error.keys]).toEqual([1, true, 250, 'ok', 0]);
  });

  test('as folded stacks', async () => {
    const { out } = await inspect(file('folded.rdb', 'a:b:1', 'a:b:2', 'c'), '--format', 'folded');
    expect(out).toMatch(/^all \d+\nall;a:;b:;\* \d+\n$/);
  });

  test('into a file', async () => {
    const path = folder.at('report.txt');
    const { code, out } = await inspect(example, '-o', path);
    expect([code, out]).toEqual([0, '']);
    expect(readFileSync(path, 'utf8')).toContain('11 keys');
  });

  test('in colours on a terminal', async () => {
    const big = file('big.rdb', 'a');
    const shown = async (env: Record<string, string>): Promise<string> => {
      const stdout = Object.assign(new Writable({ write: (chunk: Buffer, _, done) => done(void (text += chunk.toString())) }), {
        isTTY: true,
        columns: 100,
      });
      let text = '';
      await rdbkit(['inspect', big], { stdout, env });
      return text;
    };
    expect(await shown({})).toContain('\u001b[1m1 key');
    expect(await shown({ NO_COLOR: '1' })).not.toContain('\u001b');
  });

  test('with keys that are integers or compressed', async () => {
    const path = folder.file(
      'keys.rdb',
      rdb('REDIS0011', [
        [0, intStr(12345, 2), str('v')],
        [0, lzfStr('user:'.repeat(40)), str('v')],
      ]),
    );
    expect((await reported(path)).top.memory.map(({ key }) => key).sort()).toEqual(['12345', 'user:'.repeat(40)]);
  });

  test('with large values, and the largest keys', async () => {
    const path = folder.file(
      'large.rdb',
      rdb('REDIS0011', [
        [0, str('small:1'), str('v')],
        [0, str('large:1'), str(noise(3 << 20))],
      ]),
    );
    const { complete, top, totals, types, warnings } = await reported(path);
    expect([complete, totals.keys, totals.elements]).toEqual([true, 2, (3 << 20) + 1]);
    expect(top.memory[0]).toMatchObject({ key: 'large:1', elements: 3 << 20, largest: 3 << 20, bytes: (3 << 20) + 14 });
    expect(types[0].sizes.memory.max).toBeGreaterThan(3 << 20);
    expect(warnings.map(({ kind }) => kind)).toContain('bigKey');
  });

  test('of no keys', async () => {
    const { code, out } = await inspect(folder.file('empty.rdb', rdb('REDIS0011', [])));
    expect(code).toBe(0);
    expect(out).toContain('0 keys, ');
  });

  test('of more than 1,024 databases', async () => {
    const path = folder.file(
      'databases.rdb',
      rdb(
        'REDIS0011',
        Array.from({ length: 1100 }, (_, db) => [0xfe, 0x80, 0, 0, db >> 8, db & 255, 0, str(`k${db}`), str('v')]),
      ),
    );
    const { databases, totals } = await reported(path);
    expect(databases).toHaveLength(1025);
    expect(databases.at(-1)).toMatchObject({ db: null, keys: 76 });
    expect(databases.reduce((sum, { keys }) => sum + keys, 0)).toBe(totals.keys);
  });

  test('of functions, large ones too', async () => {
    const code = (name: string, more: string): string => `#!lua name=${name}\n${more}`;
    const path = folder.file(
      'functions.rdb',
      rdb('REDIS0011', [
        [0xf5, str(code('huge', '-'.repeat(3 << 20)))],
        [0xf5, str(code('small', ''))],
      ]),
    );
    const { functions, memory } = await reported(path);
    expect(functions.map(({ name }) => name)).toEqual(['huge', 'small']);
    expect(memory.functions).toBeGreaterThan(3 << 20);
  });

  test('of modules, by the names of their types', async () => {
    const { modules, memory } = await reported(join(root, 'fixtures/servers/redis-7.4.1-modules.rdb'));
    expect(modules.length).toBeGreaterThan(0);
    expect(modules.every(({ module }) => /^[\w-]{9}$/.test(module))).toBe(true);
    expect(memory.guessed).toBe(modules.reduce((sum, { keys }) => sum + keys, 0));
  });

  test('of a large module value', async () => {
    const id = bytes(0x81, le(0x0102030405060708n, 8));
    const path = folder.file(
      'module.rdb',
      rdb('REDIS0011', [
        [7, str('m'), id, 5, str(noise(3 << 20)), 0],
        [7, str('n'), id, 0],
      ]),
    );
    const { modules } = await reported(path);
    expect(modules).toHaveLength(1);
    expect(modules[0].keys).toBe(2);
  });
});

describe('damage', () => {
  test('exit 3, with the report of what was read, marked incomplete', async () => {
    const { code, err, out } = await inspect(cutFile('cut.rdb'), '--format', 'json');
    const { complete, sources, totals, warnings } = JSON.parse(out) as Report;
    expect([code, complete, sources[0].complete, sources[0].checksum]).toEqual([3, false, false, 'unread']);
    expect(totals.keys).toBeGreaterThan(10);
    expect(sources[0].error).toContain('end');
    expect(warnings[0]).toMatchObject({ kind: 'damage' });
    expect(err).toContain(`rdbkit: ${totals.keys} keys inspected`);
  });

  test('keys before a damaged value count, of the same batch too', async () => {
    const records = [
      [0, str('a:1'), str('v')],
      [0, str('a:2'), str('v')],
      [16, str('bad'), str('nonsense')],
      [0, str('a:3'), str('v')],
    ];
    const { code, err, out } = await inspect(folder.file('damaged.rdb', rdb('REDIS0011', records)), '--format', 'json');
    const { prefixes, totals } = JSON.parse(out) as Report;
    expect([code, totals.keys, prefixes.root.children?.[0].keys]).toEqual([3, 2, 2]);
    expect(err).toContain('2 keys inspected');
  });

  test('nothing could be read: no report, exit 2 or 3', async () => {
    const path = folder.at('none.txt');
    expect(await inspect(folder.at('missing.rdb'), '-o', path)).toMatchObject({ code: 2, out: '' });
    expect(existsSync(path)).toBe(false);
    const { code, out } = await inspect(folder.file('text.rdb', 'no RDB at all'));
    expect([code, out]).toEqual([3, '']);
  });

  test('--keep-going: the other sources, and which one is missing', async () => {
    const sources = [example, folder.at('missing.rdb'), file('after.rdb', 'x', 'y')];
    const { code, out } = await inspect(...sources, '--keep-going', '--format', 'json');
    const report = JSON.parse(out) as Report;
    expect([code, report.complete, report.totals.keys]).toEqual([2, false, 13]);
    expect(report.sources.map(({ complete, error, keys }) => [keys, complete, error === undefined])).toEqual([
      [11, true, true],
      [0, false, false],
      [2, true, true],
    ]);
    expect(report.memory.server).toBe('Redis 7.0, Redis 7.2');
    expect((await inspect(...sources, '--keep-going')).out).toContain('missing.rdb: not read: ');
  });

  test('without it, the report ends with the damaged source', async () => {
    const { out } = await inspect(cutFile('cut2.rdb'), example, '--format', 'json');
    expect((JSON.parse(out) as Report).sources).toHaveLength(1);
  });

  test('--limit is no damage, but the source is incomplete', async () => {
    const { code, err, out } = await inspect(FIXTURE, '--limit', '7', '--format', 'json');
    const { complete, totals } = JSON.parse(out) as Report;
    expect([code, complete, totals.keys]).toEqual([0, false, 7]);
    expect(err).toContain('stopped at --limit');
  });

  test('an AOF with newer commands: exit 1, and the report', async () => {
    const path = folder.file('appendonly.aof', bytes(strings(['a']), '*1\r\n$4\r\nPING\r\n'));
    const { code, err, out } = await inspect(path);
    expect(code).toBe(1);
    expect(out).toContain('1 key, ');
    expect(err).toContain('AOF');
    expect((await inspect(path, '--ignore-aof-tail')).code).toBe(0);
  });

  test('interrupted: exit 130, marked incomplete or nothing', async () => {
    const { code } = await rdbkit(['inspect', FIXTURE, '--baseline', example, '--history', folder.at('interrupted.jsonl')], {
      signal: aborted('SIGINT'),
    });
    expect(code).toBe(130);
    expect(existsSync(folder.at('interrupted.jsonl'))).toBe(false);
  });
});

describe('sources', () => {
  test('standard input, and JSON lines of payloads', async () => {
    const { code, out } = await rdbkit(['inspect', '-', '--format', 'json'], { stdin: Readable.from([readFileSync(example)]) });
    expect([code, (JSON.parse(out) as Report).sources[0].name]).toEqual([0, '-']);
    const { out: lines } = await rdbkit(['dump', example, '--format', 'payload']);
    const report = await reported(folder.file('payloads.jsonl', lines));
    expect([report.totals.keys, report.complete]).toEqual([11, true]);
  });

  test('several: their sums, and a row for each', async () => {
    const { memory, sources, totals } = await reported(example, FIXTURE);
    expect(sources.map(({ keys }) => keys)).toEqual([11, 250]);
    for (const field of ['keys', 'bytes', 'memory', 'elements', 'withExpiry', 'expired'] as const) {
      expect(sources.reduce((sum, source) => sum + source[field], 0)).toBe(totals[field]);
    }
    expect(memory.used).toBe(sources.reduce((sum, { usedMemory = 0 }) => sum + usedMemory, 0));
  });

  test('the same one twice', async () => {
    expect((await reported(example, example)).sources.map(({ keys }) => keys)).toEqual([11, 11]);
  });
});

describe('options', () => {
  const keys = file('options.rdb', ...Array.from({ length: 1000 }, (_, i) => `user/${i % 10}/${i}`));

  test('--top', async () => {
    expect((await reported(FIXTURE, '--top', '3')).top.memory).toHaveLength(3);
    expect((await reported(FIXTURE, '--top', '0')).top).toEqual({ memory: [], elements: [], largest: [] });
    expect((await inspect(FIXTURE, '--top', '0')).out).not.toContain('Keys with');
    expect(await inspect(FIXTURE, '--top', '-1')).toMatchObject({ code: 2 });
  });

  test('--delimiter and --depth', async () => {
    const prefixes = async (...argv: string[]): Promise<unknown> => {
      const {
        delimiters,
        root: { children = [] },
      } = (await reported(keys, ...argv)).prefixes;
      return [delimiters.join(''), children.map(({ prefix }) => prefix)];
    };
    expect((await reported(keys)).prefixes.delimiters.join('')).toBe(':;,_-+@=|#');
    expect(await prefixes('--delimiter', 'auto')).toEqual(['/', ['user/']]);
    expect(await prefixes('--delimiter', '/', '--delimiter', ',')).toEqual(['/,', ['user/']]);
    expect((await reported(keys, '--delimiter', '/', '--depth', '1')).prefixes.nodes).toBe(1);
    for (const wrong of ['', 'a', '\t', 'é']) expect((await inspect(keys, '--delimiter', wrong)).code).toBe(2);
    expect((await inspect(keys, '--delimiter', 'auto', '--delimiter', ':')).err).toContain('no others can be given');
    for (const wrong of ['0', '65', 'x']) expect((await inspect(keys, '--depth', wrong)).code).toBe(2);
  });

  test('--sample: about as many keys, and the same ones again', async () => {
    const [one, two] = [await reported(keys, '--sample', '10%'), await reported(keys, '--sample', '10%')];
    expect(one.top).toEqual(two.top);
    expect(one.sample?.keys).toBeGreaterThan(60);
    expect(one.sample?.keys).toBeLessThan(140);
    expect(one.totals.keys).toBe((one.sample?.keys ?? 0) * 10);
    expect((await inspect(keys, '--sample', '10%')).err).toMatch(/; \d+ not in the sample, or filtered out\n/);
    expect((await reported(keys, '--sample', '100%')).sample).toBeUndefined();
    for (const wrong of ['0%', '101%', '1', '']) expect((await inspect(keys, '--sample', wrong)).code).toBe(2);
  });

  test('--sample that has no key says so', async () => {
    expect((await inspect(file('one.rdb', 'a'), '--sample', '0.0001%')).err).toContain('the only one is left out by --sample.');
  });

  test('filters', async () => {
    expect((await reported(FIXTURE, '--type', 'hash')).types.map(({ type }) => type)).toEqual(['hash']);
    expect((await inspect(keys, '--prefix', 'none')).err).toContain('no key was inspected: all 1,000 are left out by --prefix.');
  });

  test('--shards and --target-version', async () => {
    const { slots, target } = await reported(FIXTURE, '--shards', '3', '--target-version', '6.2');
    expect(slots.shards?.map(({ from, to }) => [from, to])).toEqual([
      [0, 5460],
      [5461, 10922],
      [10923, 16383],
    ]);
    const types = target?.rewritten.map(({ type }) => type) ?? [];
    expect(types.length).toBeGreaterThan(0);
    expect(new Set(types).size).toBe(types.length);
  });

  test('no output may be a source or another output', async () => {
    const source = file('source.rdb', 'a');
    for (const option of ['--output', '--html', '--csv', '--parquet', '--history']) {
      expect((await inspect(source, option, source)).err).toContain(`${option} ${source} would overwrite the source`);
      expect((await inspect(example, '--baseline', source, option, source)).code).toBe(2);
    }
    expect((await inspect(source, '--csv', folder.at('x'), '--html', folder.at('x'))).err).toContain('--html and --csv name the same file');
    expect(readFileSync(source)).toEqual(Buffer.from(strings(['a'])));
  });
});

describe('--history', () => {
  test('appended to, broken lines passed over', async () => {
    const path = folder.file('history.jsonl', '{"at":1}\nnonsense\n{"at":5,"so');
    const first = await reported(example, '--history', path);
    expect(first.history?.map(({ keys }) => keys)).toEqual([11]);
    const second = await reported(FIXTURE, '--history', path);
    expect(second.history?.map(({ keys }) => keys)).toEqual([11, 250]);
  });

  test('not by runs that did not see all', async () => {
    const path = folder.file('history2.jsonl', '');
    const { code, out } = await inspect(cutFile('cut3.rdb'), '--history', path);
    expect(code).toBe(3);
    expect(out).toContain('! not added to the history');
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  test('that cannot be written: exit 4, no report', async () => {
    expect(await inspect(example, '--history', folder.path)).toMatchObject({ code: 4, out: '' });
  });
});

describe('--baseline', () => {
  const before = file('monday.rdb', 'a/1', 'gone/1');
  const after = file('friday.rdb', 'a/1', 'a/2', 'new/1');

  test('what grew', async () => {
    const { baseline } = await reported(after, '--baseline', before, '--delimiter', 'auto');
    expect(baseline?.totals.before.keys).toBe(2);
    expect(baseline?.totals.after.keys).toBe(3);
    expect(baseline?.prefixes.map(({ prefix }) => prefix).sort()).toEqual(['a/*', 'gone/*', 'new/*']);
    expect((await inspect(after, '--baseline', before)).out).toMatch(/Changes since \S*monday\.rdb/);
  });

  test('damaged: exit 3, compared with as far as it was read, and said so', async () => {
    const { code, err, out } = await inspect(example, '--baseline', cutFile('cut4.rdb'), '--format', 'json');
    const { baseline, complete, warnings } = JSON.parse(out) as Report;
    expect([code, complete, baseline?.complete]).toEqual([3, true, false]);
    expect(warnings.map(({ text }) => text).join()).toContain('the baseline was not read to the end');
    expect(err).toContain('cut4.rdb');
  });

  test('missing: exit 2', async () => {
    const { code, err } = await inspect(example, '--baseline', folder.at('missing.rdb'));
    expect(code).toBe(2);
    expect(err).toContain('missing.rdb');
  });

  test('standard input can be one of both only', async () => {
    expect((await inspect('-', '--baseline', '-')).err).toContain('given twice');
  });
});

test('a file that only a deep look finds damaged', async () => {
  const { code, out } = await inspect(badLzf, '--format', 'json');
  expect([0, 3]).toContain(code);
  expect((JSON.parse(out) as Report).totals.keys).toBeGreaterThan(0);
});

test('--help names every output, in lines of a terminal', async () => {
  const { out } = await inspect('--help');
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  for (const option of ['--html', '--csv', '--parquet', '--history', '--baseline']) expect(out).toContain(option);
});
