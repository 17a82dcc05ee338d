import { afterAll, describe, expect, test } from 'vitest';
import { KeyList } from '../../src/diff/key-list.js';
import { Folder, rdbkit } from '../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

interface Key {
  readonly db?: number;
  readonly key: string;
  readonly value: string;
}

const linesFile = (name: string, keys: readonly Key[]): string =>
  folder.file(name, keys.map(({ db = 0, key, value }) => `${JSON.stringify({ db, key, type: 'string', value })}\n`).join(''));

const difference = (key: string, kinds: readonly string[] = ['value'], db = 0): string => `${JSON.stringify({ db, key, kinds })}\n`;

async function rerun(
  a: string,
  b: string,
  list: string,
  ...options: string[]
): Promise<{ code: number | null; keys: string[]; object: Record<string, unknown> }> {
  const { code, err, out } = await rdbkit(['diff', a, b, '--rerun', list, '--format', 'json', '--json', ...options]);
  return {
    code,
    keys: out
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { key: string }).key)
      .sort(),
    object: JSON.parse(err) as Record<string, unknown>,
  };
}

test('only the keys of an earlier diff are compared, by value if that was different', async () => {
  const a = linesFile('a.jsonl', [
    { key: 'one', value: '1' },
    { key: 'two', value: '2' },
    { key: 'base64:/wA=', value: 'x' },
    { key: 'new', value: '1' },
  ]);
  const list = folder.at('diffs.jsonl');
  const before = linesFile('b.jsonl', [
    { key: 'one', value: 'x' },
    { key: 'two', value: 'x' },
    { key: 'extra', value: '' },
  ]);
  expect((await rdbkit(['diff', a, before, '--level', 'values', '-o', list])).code).toBe(1);
  const after = linesFile('c.jsonl', [
    { key: 'one', value: '1' },
    { key: 'two', value: 'x' },
    { key: 'base64:/wA=', value: 'y' },
    { key: 'other', value: '' },
  ]);
  const { code, keys, object } = await rerun(a, after, list);
  expect({ code, keys }).toEqual({ code: 1, keys: ['base64:/wA=', 'new', 'two'] });
  expect(object).toMatchObject({ level: 'values', checkedAgain: 5, different: 3, kinds: { missing: 1, extra: 0, value: 2 }, same: false });
  const { err } = await rdbkit(['diff', a, after, '--rerun', list]);
  expect(err).toMatch(/^rdbkit: 3 keys still differ \(1 missing, 2 another value\): .* compared by value, 5 keys checked again; /m);
  expect((await rerun(a, a, list)).code).toBe(0);
});

test('databases are those of the target', async () => {
  const a = linesFile('a.jsonl', [
    { db: 1, key: 'k', value: '1' },
    { db: 5, key: 'k', value: '1' },
  ]);
  const b = linesFile('b.jsonl', [{ db: 5, key: 'other', value: '1' }]);
  const list = folder.file('db.jsonl', difference('k', ['missing'], 5));
  expect(await rerun(a, b, list, '--db-map', '1:5')).toMatchObject({ keys: ['k'], object: { different: 1 } });
  expect(await rerun(a, b, list, '--db-map', '1:5,5:6')).toMatchObject({ keys: ['k'], object: { different: 1, source: { keys: 1 } } });
  expect(await rerun(a, b, folder.file('db.jsonl', difference('k', ['missing'], 1)), '--db-map', '1:5')).toMatchObject({
    code: 0,
    keys: [],
  });
});

describe('broken lists are wrong usage, with the line', () => {
  const a = linesFile('x.jsonl', []);
  for (const [name, text, message] of [
    ['no JSON', `${difference('a')}\n{"db":0,`, 'line 3: it is not JSON'],
    ['no difference', `${difference('a')}[1]\n`, 'line 2: expected a difference'],
    ['without a key', '{"db":0,"kinds":[]}\n', 'line 1: expected a difference'],
    ['a line of decode', '{"db":0,"key":"a","type":"string","value":"x"}\n', 'line 1: expected a difference'],
    ['no database', '{"db":-1,"key":"a","kinds":[]}\n', 'line 1: expected a difference'],
    ['bad base64', '{"db":0,"key":"base64:/","kinds":[]}\n', 'line 1: base64 with 1 characters'],
    [
      'bytes that are not UTF-8',
      Buffer.concat([Buffer.from('{"db":0,"key":"'), Buffer.from([0xff]), Buffer.from('","kinds":[]}\n')]),
      'line 1: it is not UTF-8',
    ],
  ] as const) {
    test(name, async () => {
      const list = folder.file('broken.jsonl', text);
      const { code, err } = await rdbkit(['diff', a, a, '--rerun', list]);
      expect(code).toBe(2);
      expect(err).toContain(`--rerun ${list}: ${message}`);
    });
  }

  test('no file, and levels that do not compare enough', async () => {
    expect(await rdbkit(['diff', a, a, '--rerun', folder.at('none')])).toMatchObject({
      code: 2,
      err: expect.stringContaining('ENOENT') as string,
    });
    const list = folder.file('list.jsonl', difference('a'));
    expect((await rdbkit(['diff', a, a, '--rerun', list, '--level', 'keys'])).err).toContain(
      'which has keys with other values: --level keys does not compare values',
    );
    const missing = folder.file('list.jsonl', difference('a', ['missing']));
    expect((await rdbkit(['diff', a, a, '--rerun', missing, '--level', 'counts'])).err).toContain(
      '--rerun compares keys one by one, and --level counts does not',
    );
  });
});

test('a list finds its keys, each by its database, and says when it is full', () => {
  const list = new KeyList(1 << 17);
  const key = (i: number): Buffer => Buffer.from(`key:${i}`);
  let added = 0;
  while (list.add(added % 3, key(added)) >= 0) added++;
  expect(added).toBeGreaterThan(1000);
  expect(list.size).toBe(added);
  for (let i = 0; i < added; i++) {
    expect(list.find(i % 3, key(i))).toBe(i);
    expect(list.has((i + 1) % 3, key(i))).toBe(false);
    expect(list.add(i % 3, Buffer.concat([Buffer.from('x'), key(i)]), 1)).toBe(i);
  }
  expect([...list].map(({ db, key: bytes }) => `${db} ${Buffer.from(bytes).toString()}`)).toEqual(
    Array.from({ length: added }, (_, i) => `${i % 3} key:${i}`),
  );
});
