import { afterAll, describe, expect, test } from 'vitest';
import { insideOf, type TypedValue } from '../../src/diff/inside.js';
import { InsideSink, InsideTable } from '../../src/diff/inside-sink.js';
import { KeyList } from '../../src/diff/key-list.js';
import { feedFile } from '../support/diff-support.js';
import { encodeLines } from '../support/encode-support.js';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

type Value = readonly [type: string, value: unknown];

/** A file of JSON lines, which encode and diff read. */
const linesFile = (name: string, keys: Readonly<Record<string, Value>>): string =>
  folder.file(
    name,
    Object.entries(keys)
      .map(([key, [type, value]]) => `${JSON.stringify({ db: 0, key, type, value })}\n`)
      .join(''),
  );

async function diff(
  source: Readonly<Record<string, Value>>,
  target: Readonly<Record<string, Value>>,
  ...options: string[]
): Promise<Result> {
  return rdbkit(['diff', linesFile('a.jsonl', source), linesFile('b.jsonl', target), '--show-values', '-q', ...options]);
}

/** What is said of the only key that differs. */
async function inside(source: Value, target: Value): Promise<unknown> {
  const { code, out } = await diff({ key: source }, { key: target }, '--format', 'json');
  expect(code).toBe(1);
  const [line, ...others] = out
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as { key: string; inside: unknown });
  expect(others).toEqual([]);
  return line.inside;
}

describe('what differs inside', () => {
  test('strings: the first byte, and a window of both sides that cuts no character', async () => {
    expect(await inside(['string', `${'é'.repeat(20)}one${'.'.repeat(50)}`], ['string', `${'é'.repeat(20)}two!`])).toEqual({
      is: 'string',
      at: 40,
      source: { length: 93, from: 16, text: `${'é'.repeat(12)}one${'.'.repeat(21)}` },
      target: { length: 44, from: 16, text: `${'é'.repeat(12)}two!` },
    });
    expect(await inside(['string', 'base64:/wA='], ['string', 'base64:/wAB'])).toMatchObject({
      at: 2,
      source: { length: 2, text: 'base64:/wA=' },
      target: { length: 3, text: 'base64:/wAB' },
    });
  });

  test('lists: the first element', async () => {
    expect(await inside(['list', ['a', 'b', 'c']], ['list', ['a', 'x']])).toEqual({
      is: 'list',
      at: 1,
      source: { length: 3, element: 'b' },
      target: { length: 2, element: 'x' },
    });
    expect(await inside(['list', ['a', 'b']], ['list', ['a']])).toEqual({
      is: 'list',
      at: 1,
      source: { length: 2, element: 'b' },
      target: { length: 1 },
    });
  });

  test('sets: members of one side; of many, the first 20', async () => {
    const many = Array.from({ length: 25 }, (_, i) => `m${i}`);
    expect(await inside(['set', ['a', ...many]], ['set', ['a', 'z']])).toEqual({
      is: 'set',
      onlySource: { first: many.slice(0, 20), more: 5 },
      onlyTarget: { first: ['z'], more: 0 },
    });
  });

  test('hashes: fields of one side, and other values', async () => {
    expect(await inside(['hash', { a: '1', b: '2', c: '3' }], ['hash', { a: '1', b: 'x'.repeat(300), d: '4' }])).toEqual({
      is: 'hash',
      onlySource: { first: ['c'], more: 0 },
      onlyTarget: { first: ['d'], more: 0 },
      other: { first: [{ field: 'b', source: { value: '2' }, target: { value: { start: 'x'.repeat(200), bytes: 300 } } }], more: 0 },
    });
  });

  test('sorted sets: members of one side, and other scores', async () => {
    expect(await inside(['zset', { a: 1, b: 2, c: 3 }], ['zset', { a: 1, b: 'inf', d: '-inf' }])).toEqual({
      is: 'zset',
      onlySource: { first: [{ member: 'c', score: 3 }], more: 0 },
      onlyTarget: { first: [{ member: 'd', score: '-inf' }], more: 0 },
      other: { first: [{ member: 'b', source: 2, target: 'inf' }], more: 0 },
    });
  });
});

const typed = (type: TypedValue['type'], value: unknown): TypedValue => ({ type, value }) as TypedValue;
const stream = (entries: readonly (readonly [id: string, value: string])[], more: object = {}): TypedValue =>
  typed('stream', {
    entries: entries.map(([id, value]) => ({ id, fields: [[Buffer.from('f'), Buffer.from(value)]] })),
    ...{ length: entries.length, lastId: entries.at(-1)?.[0] ?? '0-0', groups: [] },
    ...more,
  });
const group = (pending: readonly object[]): object => ({ name: Buffer.from('g'), lastId: '1-1', entriesRead: 1, pending, consumers: [] });

test('expiries of fields count', () => {
  const field = (expireAt?: number): TypedValue =>
    typed('hash', [{ field: Buffer.from('f'), value: Buffer.from('v'), ...(expireAt === undefined ? {} : { expireAt }) }]);
  expect(insideOf(field(1), field(2), false)).toMatchObject({
    other: { first: [{ field: 'f', source: { value: 'v', expireAt: 1 }, target: { value: 'v', expireAt: 2 } }] },
  });
  expect(insideOf(field(1), field(), false)).toMatchObject({ is: 'hash' });
  expect(insideOf(field(1), field(1), false)).toEqual({ is: 'same' });
});

test('streams: entries by ID, and what else differs', () => {
  expect(
    insideOf(
      stream([
        ['1-1', 'a'],
        ['2-1', 'b'],
      ]),
      stream([
        ['1-1', 'x'],
        ['3-1', 'c'],
      ]),
      false,
    ),
  ).toEqual({
    is: 'stream',
    onlySource: { first: ['2-1'], more: 0 },
    onlyTarget: { first: ['3-1'], more: 0 },
    other: { first: ['1-1'], more: 0 },
    parts: ['lastId'],
  });
  const [one, other] = [[], [{ id: '1-1', consumer: null, deliveredAt: 1, deliveries: 1 }]].map((pending) =>
    stream([['1-1', 'a']], { groups: [group(pending)], entriesAdded: pending.length }),
  );
  expect(insideOf(one, other, false)).toEqual({ is: 'same' });
  expect(insideOf(one, other, true)).toMatchObject({ parts: ['entriesAdded', 'groups'] });
});

test('elements of an array are like fields', () => {
  const array = (...elements: readonly (readonly [number, string])[]): TypedValue =>
    typed('array', { elements: elements.map(([index, value]) => ({ index: BigInt(index), value: Buffer.from(value) })) });
  expect(insideOf(array([0, 'a'], [5, 'b']), array([0, 'x'], [7, 'b']), false)).toMatchObject({
    onlySource: { first: ['5'] },
    onlyTarget: { first: ['7'] },
    other: { first: [{ field: '0' }] },
  });
});

test('as text, the lines are below the difference', async () => {
  const { out } = await diff(
    {
      s: ['string', 'one'],
      l: ['list', ['a']],
      h: ['hash', { a: '1', b: '2' }],
      z: ['zset', { m: 1 }],
      t: ['set', Array.from({ length: 22 }, (_, i) => `${i}`)],
      gone: ['string', 'x'],
    },
    { s: ['string', 'two'], l: ['list', ['a', 'b']], h: ['hash', { a: '1', b: '3' }], z: ['zset', { m: 2 }], t: ['set', ['x']] },
  );
  expect(out).toContain(
    `another value: db 0, key "s": source: string, 3 bytes, no expiry; target: string, 3 bytes, no expiry\n  from byte 0 on; source: 3 bytes, from 0: "one"; target: 3 bytes, from 0: "two"\n`,
  );
  expect(out).toContain(`\n  from element 1 on; source: 1 element, none there; target: 2 elements, "b"\n`);
  expect(out).toContain(`\n  field with another value or expiry: "b": source: "2"; target: "3"\n`);
  expect(out).toContain(`\n  another score: "m": source: 1; target: 2\n`);
  expect(out).toContain(`\n  member only on the source: 2 more\n  member only on the target: "x"\n`);
  expect(out).toMatch(/^missing: db 0, key "gone": .*$/m);
});

test('of values over 1 MiB, sizes and digests are told, which do not depend on the run', async () => {
  const big = 'x'.repeat(2 << 20);
  const pairs: [Value, Value] = [
    ['string', `${big}a`],
    ['string', 'small'],
  ];
  const first = await inside(...pairs);
  expect(first).toMatchObject({ is: 'large', source: { digest: expect.stringMatching(/^[\da-f]{32}$/) as string }, target: { bytes: 6 } });
  expect(await inside(...pairs)).toEqual(first);
  const { source, target } = (await inside(pairs[1], ['string', `${big}a`])) as { source: object; target: object };
  expect({ source, target }).toEqual({ source: (first as { target: object }).target, target: (first as { source: object }).source });
});

test('only the first 1,000 keys are looked into, and the others are counted', async () => {
  const keys = (value: string): Record<string, Value> =>
    Object.fromEntries(Array.from({ length: 1003 }, (_, i) => [`k${i}`, ['string', value] as const]));
  const [a, b] = [linesFile('a.jsonl', keys('1')), linesFile('b.jsonl', keys('2'))];
  const { err, out } = await rdbkit(['diff', a, b, '--show-values', '--format', 'json']);
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { inside?: object });
  expect(lines.filter((line) => line.inside !== undefined)).toHaveLength(1000);
  expect(lines).toHaveLength(1003);
  expect(err).toContain('the first 1,000 keys with another value were looked into, 3 more were not.');
  const { err: object } = await rdbkit(['diff', a, b, '--show-values', '--json']);
  expect(JSON.parse(object)).toMatchObject({ level: 'values', shown: 1000, notShown: 3 });
});

test('it does not go with a level that compares no values', async () => {
  expect(await diff({}, {}, '--level', 'keys')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--show-values: --level keys does not compare values') as string,
  });
});

test('what has no room is left for another pass, and what has changed is told', async () => {
  const string = (key: string): string => `${JSON.stringify({ db: 0, key, type: 'string', value: `value of ${key}` })}\n`;
  const { rdb } = await encodeLines(['a', 'b', 'c'].map(string).join(''));
  const { rdb: other } = await encodeLines(`${JSON.stringify({ db: 0, key: 'a', type: 'set', value: ['m'] })}\n${string('b')}`);
  const inside = async (limit: number): Promise<unknown[]> => {
    const keys = new KeyList();
    for (const key of ['a', 'b', 'c', 'd']) keys.add(0, Buffer.from(key));
    const table = new InsideTable(keys, { streams: 'data' }, limit);
    await feedFile(new InsideSink(undefined, 'a', table, { streams: 'data' }), rdb);
    await feedFile(new InsideSink(undefined, 'b', table, { streams: 'data' }), other);
    return [0, 1, 2, 3].map((key) => table.of(key));
  };
  const [a, b, c, d] = [
    { is: 'type', source: 'string', target: 'set' },
    { is: 'same' },
    { is: 'gone', side: 'target' },
    { is: 'gone', side: 'source' },
  ];
  expect(await inside(1)).toEqual([a, undefined, undefined, d]);
  expect(await inside(1 << 20)).toEqual([a, b, c, d]);
});
