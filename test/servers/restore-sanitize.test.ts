import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parsePayload } from '../../src/rdb/payload.js';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { DEADLY } from '../support/payload-check.js';
import { TestServer } from '../support/redis-server.js';
import { loop } from '../support/samples.js';
import { be, f64, listpack, type Part, rdb, str, ziplist } from '../support/support.js';

const folder = new Folder();
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterEach(() => server.client.flushall());
afterAll(async () => {
  await server.stop();
  folder.remove();
});

const deadly = parsePayload(DEADLY);
const backlen = ziplist(['a', 'b', 'c']);
backlen[13] = 9;
const DAMAGED: Readonly<Record<string, readonly [type: number, value: Part, reason: string]>> = {
  stream: [deadly.type, deadly.value, 'expected a backward length of 1, got 21 at element 1 of its listpack, at node 0'],
  nan: [5, loop([str('a'), f64(NaN)], [str('b'), f64(1)]), 'expected a score, got nan, at member 0'],
  count: [16, str(listpack(['f', 'v'], false, 4)), 'expected a header that says 2 elements, got 4'],
  link: [10, str(backlen), 'expected 3 as the length of the entry before, got 9, at element 1'],
  odd: [16, str(listpack(['f', 'v', 'g'])), 'expected a value for every field, got one fewer, at field 1'],
};
const TWICE: readonly [number, Part] = [20, str(listpack(['a', 'b', 'a']))];

const fileOf = (name: string, values: Readonly<Record<string, readonly [number, Part, ...unknown[]]>>): string => {
  const records = Object.entries(values).map(([key, [type, value]]) => [type, str(key), value]);
  return folder.file(name, rdb('REDIS0011', [0, str('first'), str('1'), records, 0, str('last'), str('2')]));
};

const restore = (source: string, ...options: string[]): ReturnType<typeof rdbkit> =>
  rdbkit(['restore', source, `redis://127.0.0.1:${server.client.options.port}`, ...options]);

describe('auto', () => {
  test('rejects what can crash a server, with the reason, and restores the others', async () => {
    const rejects = folder.at('rejects.jsonl');
    const source = fileOf('damaged.rdb', DAMAGED);
    const { code, err } = await restore(source, '--target-version', '7.2', '--rejects', rejects);
    expect(code).toBe(1);
    for (const [key, [, , reason]] of Object.entries(DAMAGED)) expect(err).toContain(`key "${key}": its value is damaged: ${reason}`);
    expect(err).toContain('2 keys restored, 5 rejected');
    expect((await server.client.keys('*')).sort()).toEqual(['first', 'last']);
    const kept = lines(readFileSync(rejects, 'utf8'));
    expect(kept.map(({ key }) => key)).toEqual(Object.keys(DAMAGED));
    const { payload } = kept[0] as unknown as { payload: string };
    expect(parsePayload(Buffer.from(payload, 'base64')).value).toEqual(deadly.value);
  });

  test('a dry run counts the same and has the same exit code', async () => {
    const source = fileOf('dry.rdb', DAMAGED);
    const { code, err } = await restore(source, '--target-version', '7.2', '--dry-run', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({ keysRestored: 2, keysRejected: 5 });
  });

  test('looks into large values in all their parts', async () => {
    const members = (last: number): Part =>
      loop(...Array.from({ length: 30_000 }, (_, i) => [str(`member ${i} ${'x'.repeat(30)}`), f64(i === 29_999 ? last : i)]));
    const source = fileOf('large.rdb', { good: [5, members(1)], bad: [5, members(NaN)] });
    const { code, err } = await restore(source, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({
      keysRestored: 3,
      keysRejected: 1,
      rejected: [{ key: 'bad', reason: expect.stringContaining('got nan') as string }],
    });
    expect(await server.client.zcard('good')).toBe(30_000);
    expect(await server.client.exists('bad')).toBe(0);
  });

  test('filters come first: what they leave out is not looked into', async () => {
    const { code, err } = await restore(fileOf('filtered.rdb', DAMAGED), '--type', 'string');
    expect([code, err]).toEqual([0, expect.stringContaining('2 keys restored')]);
  });

  test('duplicate members are not looked for', async () => {
    const { code } = await restore(fileOf('twice.rdb', { twice: TWICE }), '--target-version', '7.2', '--dry-run');
    expect(code).toBe(0);
  });
});

test('all finds duplicate members, too', async () => {
  const { code, err } = await restore(fileOf('all.rdb', { ...DAMAGED, twice: TWICE }), '--target-version', '7.2', '--sanitize', 'all');
  expect(code).toBe(1);
  expect(err).toContain('key "twice": its value is damaged: expected every member once, got "a" again, at member 2');
  expect(err).toContain('2 keys restored, 6 rejected');
});

describe('none', () => {
  test('leaves it to the server', async () => {
    const strict = await TestServer.start('--sanitize-dump-payload', 'yes');
    try {
      const { count, stream } = DAMAGED;
      const source = fileOf('none.rdb', { count, stream });
      const { code, err } = await rdbkit(['restore', source, `redis://127.0.0.1:${strict.client.options.port}`, '--sanitize', 'none']);
      expect(code).toBe(1);
      expect(err).toContain('Bad data format');
      expect(err).not.toContain('its value is damaged');
      expect(err).toContain('2 keys restored, 2 rejected');
    } finally {
      await strict.stop();
    }
  });

  test('a large value is not held to be looked at', async () => {
    const node = (first: number): Part => [
      str(be(first, 8), be(0, 8)),
      str(
        listpack([
          300n,
          0n,
          1n,
          'f',
          0n,
          ...Array.from({ length: 300 }, (_, i) => [2n, BigInt(i), 0n, 'x'.repeat(4000), 4n] as const).flat(),
        ]),
      ),
    ];
    const source = fileOf('stream.rdb', { stream: [15, [2, node(0), node(1000), [0x42, 0x58], [0x48, 0], 0, 0]] });
    expect((await restore(source, '--sanitize', 'none')).code).toBe(0);
    expect(await server.client.xlen('stream')).toBe(600);
  });
});
