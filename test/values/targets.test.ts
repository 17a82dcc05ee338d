import { describe, expect, test } from 'vitest';
import { TABLES } from '../../src/rdb/types.js';
import { acceptsVersion, parseTarget, reads, sentVersion, targetName, TARGETS, typeFor } from '../../src/values/targets.js';

const upTo = (...ranges: (number | [number, number])[]): number[] =>
  ranges.flatMap((range) => (typeof range === 'number' ? [range] : Array.from({ length: range[1] - range[0] + 1 }, (_, i) => range[0] + i)));

/** What the servers' rdbLoadObject has a branch for. */
const READABLE: Readonly<Record<string, readonly number[]>> = {
  'redis-2.6': upTo([0, 4], [9, 13]),
  'redis-2.8': upTo([0, 4], [9, 13]),
  'redis-3.0': upTo([0, 4], [9, 13]),
  'redis-3.2.0': upTo([0, 4], [9, 14]),
  'redis-3.2': upTo([0, 4], [9, 14]),
  'redis-4.0': upTo([0, 5], 7, [9, 14]),
  'redis-5.0': upTo([0, 5], 7, [9, 15]),
  'redis-6.0': upTo([0, 5], 7, [9, 15]),
  'redis-6.2': upTo([0, 5], 7, [9, 15]),
  'redis-7.0': upTo([0, 5], 7, [9, 19]),
  'redis-7.2': upTo([0, 5], 7, [9, 21]),
  'redis-7.4': upTo([0, 5], 7, [9, 25]),
  'redis-8.0': upTo([0, 5], 7, [9, 25]),
  'redis-8.2': upTo([0, 5], 7, [9, 25]),
  'redis-8.4': upTo([0, 5], 7, [9, 25]),
  'redis-8.6': upTo([0, 5], 7, [9, 26]),
  'redis-8.8': upTo([0, 5], 7, [9, 28]),
  'redis-8.10': upTo([0, 5], 7, [9, 29], 31),
  'redis-8.12': upTo([0, 5], 7, [9, 29], 31, 33),
  'valkey-7.2': upTo([0, 5], 7, [9, 21]),
  'valkey-8.0': upTo([0, 5], 7, [9, 21]),
  'valkey-8.1': upTo([0, 5], 7, [9, 21]),
  'valkey-9.0': upTo([0, 5], 7, [9, 22]),
  'valkey-9.1': upTo([0, 5], 7, [9, 22]),
  'valkey-9.2': upTo([0, 5], 7, [9, 22]),
};

describe('targets', () => {
  test.each(TARGETS.map((target) => [`${target.vendor}-${target.release}`, target] as const))('%s', (name, target) => {
    const own = TABLES[target.vendor].types.filter((type) => type !== undefined && reads(target, type));
    expect(own.map((type) => type?.id)).toEqual(READABLE[name]);
    expect(parseTarget(name)).toBe(target);
    for (const type of own) expect(typeFor(target, type?.name ?? '')).toBe(type);
  });

  test('22 of one vendor is not that of the other', () => {
    const [ofRedis, ofValkey] = [TABLES.redis.types[22], TABLES.valkey.types[22]];
    expect(ofRedis?.name).toBe('HASH_METADATA_PRE_GA');
    expect(ofRedis && reads(parseTarget('valkey-9.1'), ofRedis)).toBe(false);
    expect(ofValkey && reads(parseTarget('8.0'), ofValkey)).toBe(false);
    expect(typeFor(parseTarget('valkey-9.1'), 'HASH_METADATA')).toBeUndefined();
  });

  test('payloads have a version that the target takes, whatever the version of their file', () => {
    for (const target of TARGETS) {
      for (const type of TABLES[target.vendor].types) {
        if (type === undefined || !reads(target, type)) continue;
        for (const version of [6, 9, 10, 11, 12, 13, 16, 80, 81]) {
          const sent = sentVersion(target, { type }, version);
          expect([target.release, type.name, sent, acceptsVersion(target, sent)]).toEqual([target.release, type.name, sent, true]);
        }
      }
    }
    const ofValkey = typeFor(parseTarget('valkey-9.1'), 'HASH_2');
    expect(ofValkey && sentVersion(parseTarget('valkey-9.1'), { type: ofValkey }, 12)).toBe(80);
  });

  test('listpacks with the wide lengths', () => {
    expect(TARGETS.filter(({ wide }) => wide).map(({ release, vendor }) => `${vendor}-${release}`)).toEqual(['redis-8.8', 'redis-8.10', 'redis-8.12', 'valkey-9.1', 'valkey-9.2']);
    expect(TARGETS.filter(({ exact }) => exact).map(({ release }) => release)).toEqual(['2.6', '2.8', '3.0', '3.2.0']);
  });

  test('names', () => {
    expect(parseTarget('6.2')).toMatchObject({ vendor: 'redis', release: '6.2', rdbVersion: 9, exact: false });
    expect(parseTarget('redis-7.4')).toMatchObject({ vendor: 'redis', release: '7.4', rdbVersion: 12 });
    expect(parseTarget('Valkey 9.1.2')).toMatchObject({ vendor: 'valkey', release: '9.1', rdbVersion: 80 });
    expect(parseTarget('v7.0.15')).toMatchObject({ vendor: 'redis', release: '7.0', rdbVersion: 10 });
    expect(parseTarget('3.2.0')).toMatchObject({ release: '3.2.0', rdbVersion: 7, exact: true });
    expect(parseTarget('3.2.13')).toMatchObject({ release: '3.2', rdbVersion: 7, exact: false });
    expect(parseTarget('2.8.24')).toMatchObject({ rdbVersion: 6, exact: true });
    expect(parseTarget('8.10')).toMatchObject({ release: '8.10', rdbVersion: 15 });
    expect(targetName(parseTarget('valkey-8.1'))).toBe('Valkey 8.1');
  });

  test('what is no server', () => {
    for (const text of ['', '7', 'redis', 'dragonfly-1.0', '7.0.x', '-7.0', 'redis--7.0', '7.0 or so']) expect(() => parseTarget(text)).toThrow(/not a server version.*6\.2, redis-7\.4 or valkey-9\.1/);
    expect(() => parseTarget('2.4')).toThrow(/no Redis 2\.4 is known here: 2\.6, .* and 8\.12 are$/);
    expect(() => parseTarget('9.1')).toThrow(/no Redis 9\.1 .*; is valkey-9\.1 meant\?$/);
    expect(() => parseTarget('valkey-7.4')).toThrow(/is redis-7\.4 meant/);
    expect(() => parseTarget('valkey-10.0')).toThrow(/7\.2, 8\.0, 8\.1, 9\.0, 9\.1 and 9\.2 are$/);
  });
});
