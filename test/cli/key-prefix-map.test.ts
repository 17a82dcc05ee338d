import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURE, Folder, lines, rdbkit } from '../support/cli-support.js';
import { strings } from '../support/restore-support.js';
import { intStr, len, lzfStr, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

interface Key {
  readonly key: string;
  readonly value: unknown;
}

const decoded = async (...argv: string[]): Promise<Key[]> => {
  const { code, err, out } = await rdbkit(['decode', ...argv]);
  expect([code, err]).toEqual([0, expect.anything()]);
  return lines(out) as unknown as Key[];
};

/** What the option does, in JavaScript. */
function model(pairs: readonly (readonly [from: string, to: string])[], key: string): string {
  const pair = pairs.find(([from]) => key.startsWith(from));
  return pair === undefined ? key : pair[1] + key.slice(pair[0].length);
}

const options = (pairs: readonly (readonly [from: string, to: string])[]): string[] =>
  pairs.flatMap(([from, to]) => ['--key-prefix-map', `${from}=${to}`]);

describe('keys are written under their new names', () => {
  const large = 'x'.repeat(1_500_000);
  const list = [1, str('large:list'), len(30_000), Array.from({ length: 30_000 }, () => str('y'.repeat(50)))];
  /** Keys of all forms, with modifiers, in two databases; values of over a mebibyte. */
  const file = folder.file(
    'all.rdb',
    rdb('REDIS0009', [
      [0, str('user:1'), str('a')],
      [0xfd, [0, 0, 0, 0x7f], 0, str('user:2'), str('b')],
      [0xf9, 7, 0, str('user:3'), str('c')],
      [0xfd, [0, 0, 0, 0x7f], 0xf8, 5, 0, str('user:4'), str('d')],
      [0, str(''), str('e')],
      [0, intStr(12345, 2), str('f')],
      [0, lzfStr(`user:${'z'.repeat(200)}`), str('g')],
      [0, str(`user:${'k'.repeat(30_000)}`), str('h')],
      [0, str('other'), str('i')],
      [0, str('user:large'), str(large)],
      [0xfd, [0, 0, 0, 0x7f], list],
      [0xfe, 3, 0, str('user:5'), str('j')],
      [0, Buffer.from([0xff, 0x3d, 0x31]).reduce<Part[]>((all, byte) => [...all, byte], [3]), str('k')],
    ]),
  );
  const cases: [pairs: [string, string][]][] = [
    [[['user:', 'new:']]],
    [[['user:', '']]],
    [[['', 'p:']]],
    [[['', 'p'.repeat(300)]]],
    [[['123', 'user:']]],
    [
      [
        ['user:1', 'user:1'],
        ['user:', 'large:'],
        ['large:', 'user:'],
      ],
    ],
    [[['none', 'x']]],
  ];

  test.each(cases)('%j', async (pairs) => {
    const plain = await decoded(file);
    const toAll = pairs.find(([from]) => from === '')?.[1];
    const bytes = Buffer.concat([Buffer.from(toAll ?? ''), Buffer.from([0xff, 0x3d, 0x31])]);
    const expected = plain.map((line) => {
      return { ...line, key: line.key.startsWith('base64:') ? `base64:${bytes.toString('base64')}` : model(pairs, line.key) };
    });
    expect(await decoded(file, ...options(pairs), '--threads', '1')).toEqual(expected);
    expect(await decoded(file, ...options(pairs))).toEqual(expected);
    const meta = (await decoded(file, '--meta', ...options(pairs))).filter(({ key }) => (key as string | undefined) !== undefined);
    expect(meta).toEqual(expected);
    const out = folder.at('out');
    for (const format of ['rdb', 'payload']) {
      expect((await rdbkit(['dump', file, ...options(pairs), '--format', format, '-o', out])).code).toBe(0);
      // payload lines have no access times
      const strip = ({ db, key, value }: Key & { db?: number }) => ({ db, key, value });
      expect((await decoded(out)).map(strip)).toEqual(expected.map(strip));
    }
    expect((await rdbkit(['dump', file, ...options(pairs), '--format', 'rdb', '--target-version', '6.2', '-o', out])).code).toBe(0);
    expect(await decoded(out)).toEqual(expected);
    const split = ['--split-slots', '2', '-o', folder.at('split.rdb')];
    expect((await rdbkit(['dump', file, ...options(pairs), ...split])).code).toBe(0);
    const halves = await decoded(folder.at('split.0-8191.rdb'), folder.at('split.8192-16383.rdb'));
    const byKey = (a: Key, b: Key): number => (a.key < b.key ? -1 : 1);
    expect(halves.sort(byKey).map(({ key, value }) => [key.length, value])).toEqual(
      (await decoded(file, ...options(pairs))).sort(byKey).map(({ key, value }) => [key.length, value]),
    );
    const half = ['--slot', '0-8191'];
    const lower = await decoded(folder.at('split.0-8191.rdb'), ...half);
    expect(lower).toEqual(await decoded(folder.at('split.0-8191.rdb'))); // the slots are those of the new names
  });

  test('any keys and prefixes', async () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', ':'), maxLength: 4 });
    const pair = fc.tuple(word, word);
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: 1, maxLength: 3 }), fc.uniqueArray(word, { maxLength: 30 }), async (given, keys) => {
        const pairs = given.filter(([from], i) => !given.slice(0, i).some(([before]) => from.startsWith(before)));
        const own = folder.file('keys.rdb', strings(Object.fromEntries(keys.map((key) => [`0:${key}`, key]))));
        const expected = (await decoded(own)).map((line) => ({ ...line, key: model(pairs, line.key) }));
        expect(await decoded(own, ...options(pairs))).toEqual(expected);
        const { err, out } = await rdbkit(['dump', own, '--format', 'payload', ...options(pairs)]);
        const seen = new Set<string>();
        const first = expected.filter(({ key }) => !seen.has(key) && seen.add(key));
        expect(lines(out).map(({ key }) => key)).toEqual(first.map(({ key }) => key));
        expect(err.match(/the key was there before/g) ?? []).toHaveLength(expected.length - first.length);
      }),
      { numRuns: 40 },
    );
  });

  test('any bytes, as base64', async () => {
    const only = (await decoded(file, '--key-prefix-map', 'base64:/z0==base64:/w==')).filter(({ key }) => key.startsWith('base64:'));
    expect(only).toEqual([{ db: 3, key: 'base64:/zE=', type: 'string', value: 'k' }]);
    expect((await decoded(file, '--key-prefix-map', 'base64:/z0==a=b=')).at(-1)?.key).toBe('a=b=1');
  });
});

describe('keys that meet', () => {
  const file = folder.file('meet.rdb', strings({ '0:a:1': '1', '0:b:1': '2', '0:b:2': '3', '1:a:2': '4' }));

  test('dump writes the first and names the others', async () => {
    const { code, err, out } = await rdbkit(['dump', file, '--format', 'payload', '--key-prefix-map', 'a:=b:']);
    expect(code).toBe(1);
    expect(lines(out).map(({ db, key }) => `${db} ${key}`)).toEqual(['0 b:1', '0 b:2', '1 b:2']);
    expect(err).toContain('db 0, key "b:1": the key was there before');
  });

  test('with first they are counted', async () => {
    const { code, err, out } = await rdbkit([
      'dump',
      file,
      '--format',
      'rdb',
      '--key-prefix-map',
      'a:=b:',
      '--on-conflict',
      'first',
      '-o',
      folder.at('first.rdb'),
    ]);
    expect([code, out]).toEqual([0, '']);
    expect(err).toMatch(/^rdbkit: 3 keys.*; 1 left out, as the key was there before\n$/);
  });

  test('with last, which is about files, it is no use', async () => {
    const argv = ['dump', file, '--format', 'payload', '--key-prefix-map', 'a:=b:', '--on-conflict', 'last'];
    const { code, err } = await rdbkit(argv);
    expect([code, err]).toEqual([
      2,
      expect.stringContaining('--on-conflict last decides between files, not between keys that --key-prefix-map joins'),
    ]);
    expect((await rdbkit([...argv, '--prefix', 'a:'])).code).toBe(0);
  });
});

test('filters look at the names in the source', async () => {
  const file = folder.file('filters.rdb', strings({ '0:a:1': '1', '0:b:1': '2' }));
  expect((await decoded(file, '--prefix', 'a:', '--key-prefix-map', 'a:=c:')).map(({ key }) => key)).toEqual(['c:1']);
  expect((await decoded(file, '--match', '*', '--not-prefix', 'a:', '--key-prefix-map', 'b:=a:')).map(({ key }) => key)).toEqual(['a:1']);
});

test('a copy with other names is not complete, so the counts of its source are left out', async () => {
  const { code } = await rdbkit(['dump', FIXTURE, '--key-prefix-map', '=x', '-o', folder.at('copy.rdb')]);
  expect(code).toBe(0);
  expect((await rdbkit(['check', folder.at('copy.rdb')])).code).toBe(0);
  expect(readFileSync(folder.at('copy.rdb')).length).toBeGreaterThan(readFileSync(FIXTURE).length);
});

test.each([
  ['user:', '--key-prefix-map user:: expected two prefixes, like old:=new:'],
  ['base64:AA=x', '--key-prefix-map base64:AA: base64 with 2 characters'],
  ['base64:AA===base64:?', '--key-prefix-map base64:?: base64 with 1 characters'],
])('%s is refused', async (given, message) => {
  const { code, err } = await rdbkit(['decode', FIXTURE, '--key-prefix-map', given]);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});

test('a pair that would never count is refused', async () => {
  const { code, err } = await rdbkit(['decode', FIXTURE, '--key-prefix-map', 'a:=b:', '--key-prefix-map', 'a:x=c:']);
  expect([code, err]).toEqual([2, expect.stringContaining('--key-prefix-map a:x=c:: a:=b: before it renames all keys that it could')]);
});
