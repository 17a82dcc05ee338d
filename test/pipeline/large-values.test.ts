import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/exit.js';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { bytes, le, len, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const COUNT = 90_000;
const MEMBERS = bytes(Array.from({ length: COUNT }, (_, i) => str(`member number ${i}`)));
const expireAt = (ms: number): Part => [0xfc, le(ms, 8)];
const small = (key: string): Part => [0, str(key), str('v')];
/** A set of 1.8 MiB. */
const large = (key: string): Part => [2, str(key), len(COUNT), MEMBERS];
const summaryOf = (err: string): Record<string, unknown> => JSON.parse(err.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;

describe('keys that have expired', () => {
  const source = folder.file('expired.rdb', rdb('REDIS0011', [expireAt(1000), small('a'), expireAt(1000), large('b'), expireAt(4e12), large('c')]));

  test.each([['rdb', 2, []], ['rdb', 0, ['--strip-ttl']], ['resp', 2, []], ['resp', 0, ['--strip-ttl']]] as const)('are counted by the expiry that is written: %s, %i', async (format, expired, more) => {
    const { err } = await rdbkit(['dump', source, '--format', format, ...more, '--json', '-o', folder.at('expired.out')]);
    expect(summaryOf(err)).toMatchObject({ keys: 3, keysExpired: expired });
  });
});

describe('an expiry of a member, as KeyDB notes it, in another chunk than its key', () => {
  const clock = (member: string): Part => [0xfa, str('keydb-subexpire-key'), str(member), 0xfa, str('keydb-subexpire-when'), str('4102444800000')];
  const set = (name: string): Part => [2, str(name), 1, str('m')];
  /** `cut` separates chunks, so that a batch ends there. */
  const cut = Symbol('cut');
  const read = (argv: readonly string[], parts: readonly (Part | typeof cut)[]) => {
    const whole = rdb('REDIS0009', parts.filter((part): part is Part => part !== cut));
    const chunks: Buffer[] = [];
    let at = 0;
    let end = 9;
    for (const part of parts) {
      if (part === cut) {
        chunks.push(Buffer.from(whole.subarray(at, end)));
        at = end;
      } else {
        end += bytes(part).length;
      }
    }
    chunks.push(Buffer.from(whole.subarray(at)));
    return rdbkit([...argv, '--json', '-o', folder.at('clocks.out')], { stdin: Readable.from(chunks, { objectMode: true }) });
  };
  const layouts: [about: string, parts: readonly (Part | typeof cut)[]][] = [
    ['all in one', [set('p'), clock('m'), small('s'), small('t')]],
    ['a chunk ends after the key', [set('p'), cut, clock('m'), small('s'), small('t')]],
    ['a chunk ends after the clock', [set('p'), clock('m'), cut, small('s'), small('t')]],
    ['a chunk of a clock alone', [set('p'), cut, clock('m'), cut, small('s'), cut, small('t')]],
    ['the clock of a large value', [large('p'), clock('m'), cut, small('s'), small('t')]],
    ['the clock of a large value, after a chunk', [large('p'), cut, clock('m'), cut, small('s'), small('t')]],
  ];

  test.each(layouts)('counts with its key: %s', async (_, parts) => {
    expect(summaryOf((await read(['decode', '-'], parts)).err)).toMatchObject({ keys: 3, memberExpiriesLost: 1 });
    expect(summaryOf((await read(['decode', '-', '--match', 'p'], parts)).err)).toMatchObject({ keys: 1, memberExpiriesLost: 1 });
    expect(summaryOf((await read(['decode', '-', '--type', 'string'], parts)).err)).toMatchObject({ keys: 2, memberExpiriesLost: 0 });
  });

  test.each(layouts)('is copied with its key, and left out with it: %s', async (_, parts) => {
    const copied = async (...more: string[]): Promise<string> => {
      expect((await read(['dump', '-', '--format', 'rdb', ...more], parts)).code).toBe(0);
      const { out } = await rdbkit(['decode', folder.at('clocks.out'), '--meta']);
      const found = out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as { type: string; key?: string });
      return found.filter(({ type, key }) => type !== 'aux' || key?.startsWith('keydb-')).flatMap(({ key }) => key ?? []).join(' ');
    };
    expect(await copied()).toBe('p keydb-subexpire-key keydb-subexpire-when s t');
    expect(await copied('--match', 'p')).toBe('p keydb-subexpire-key keydb-subexpire-when');
    expect(await copied('--type', 'string')).toBe('s t');
  });
});

describe('an end in the middle of a large value', () => {
  const whole = rdb('REDIS0011', [small('first'), large('torn'), small('last')]);
  const long = rdb('REDIS0011', [small('first'), [2, str('torn'), len(3 * COUNT), MEMBERS, MEMBERS, MEMBERS]]);
  const torn = folder.file('torn.rdb', long.slice(0, 4_000_000));
  const good = folder.file('good.rdb', rdb('REDIS0011', [small('after')]));

  test('decode --keep-going tells of a torn line and ends it', async () => {
    const { code, err, out: written } = await rdbkit(['decode', torn, good, '--keep-going']);
    expect([code, err]).toEqual([3, expect.stringContaining('TRUNCATED')]);
    expect(err).toContain('A line of the output is torn: it has only the beginning of its key.');
    const [first, second, third, ...rest] = written.split('\n');
    expect(first).toBe('{"db":0,"key":"first","type":"string","value":"v"}');
    expect(second).toMatch(/^\{"db":0,"key":"torn","type":"set","value":\["member number 0",.*[^\]}]$/);
    expect(third).toBe('{"db":0,"key":"after","type":"string","value":"v"}');
    expect(rest).toEqual(['']);
  });

  test.each([['decode'], ['dump', '--format', 'rdb'], ['dump', '--format', 'resp'], ['dump', '--format', 'payload']])('SIGINT while parts are pulled: %s %s %s', async (...argv) => {
    const controller = new AbortController();
    const stdin = Readable.from(
      (async function* () {
        yield Buffer.from(whole.subarray(0, 900_000));
        await delay(50);
        controller.abort(new Interruption('SIGINT'));
        yield Buffer.from(whole.subarray(900_000));
      })(),
    );
    const out = folder.at(`interrupted-${argv.at(-1)}`);
    const { code, err } = await rdbkit([argv[0], '-', ...argv.slice(1), '--json', '-o', out], { stdin, signal: controller.signal });
    expect(code).toBe(130);
    expect(summaryOf(err)).toMatchObject({ exitCode: 130, interrupted: 'SIGINT', keys: 1, keysRead: 1, keysDamaged: 0 });
    const partial = readFileSync(`${out}.partial`);
    expect(partial.includes('first')).toBe(true);
    expect(partial.includes('last')).toBe(false);
    if (argv[0] === 'decode') expect(lines(partial.toString()).map(({ key }) => key)).toEqual(['first']);
  });
});
