import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differences } from '../support/compare.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { serverTruth } from '../support/server-truth.js';
import { decodeBytes } from '../support/support.js';

/** Bytes at the borders of the encodings: small and large integers, texts, binary, empty, compressible. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array)),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.constantFrom('', '0', '-0', '00', '-1', '12', '13', '127', '128', '-128', '-129', '4095', '4096', '-4097', '32767', '-32769', '8388607',
    '-8388609', '2147483647', '2147483648', '-2147483649', '9007199254740993', '9223372036854775807', '-9223372036854775808',
    '9223372036854775808', '__proto__', 'constructor', 'base64:', 'base64:AAA=', '\u001b[31m', '"\\\n', ' 1', '1 ').map((text) => Buffer.from(text)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((integer) => Buffer.from(integer.toString())),
  fc.tuple(fc.string({ minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 3000 })).map(([text, times]) => Buffer.from(text.repeat(times))),
);

const score = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer().map((integer) => integer),
  fc.integer().map((integer) => integer / 1000),
  fc.constantFrom(0, -0, Infinity, -Infinity, 5e-324, 1.7976931348623157e308, 0.1, 1e21, 1e-7, 9007199254740993),
);

const count = { minLength: 1, maxLength: 40 };

/** A command that makes one key of each type. */
const value = fc.oneof(
  bytes.map((v) => (key: Buffer) => [['SET', key, v]]),
  fc.array(bytes, count).map((vs) => (key: Buffer) => [['RPUSH', key, ...vs]]),
  fc.array(bytes, count).map((vs) => (key: Buffer) => [['SADD', key, ...vs]]),
  fc.array(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), count).map((vs) => (key: Buffer) => [['SADD', key, ...vs.map((v) => Buffer.from(`${v}`))]]),
  fc.array(fc.tuple(score, bytes), count).map((vs) => (key: Buffer) => [['ZADD', key, ...vs.flatMap(([s, m]) => [Buffer.from(scoreText(s)), m])]]),
  fc.array(fc.tuple(bytes, bytes, fc.option(fc.integer({ min: 4e12, max: 2 ** 46 }), { freq: 2 })), count).map((vs) => (key: Buffer) => [
    ['HSET', key, ...vs.flatMap(([field, v]) => [field, v])],
    ...vs.flatMap(([field, , at]) => (at === null ? [] : [['HPEXPIREAT', key, `${at}`, 'FIELDS', '1', field]])),
  ]),
  fc.array(fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 30 }).chain(streamCommands),
);

function scoreText(value: number): string {
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? `${value}` : value > 0 ? '+inf' : '-inf';
}

function streamCommands(entries: [Buffer, Buffer][][]) {
  return fc
    .tuple(fc.array(fc.nat(entries.length - 1), { maxLength: 5 }), fc.array(bytes, { maxLength: 3 }), fc.nat(10), fc.boolean())
    .map(([deleted, groups, read, sameFields]) => (key: Buffer): (string | Buffer)[][] => [
      ...entries.map((entry, i) => ['XADD', key, `${1700000000000 + i * 7}-${i % 3}`, ...(sameFields ? [Buffer.from('n'), entry[0][1]] : entry.flat())]),
      ...groups.flatMap((group, g) => [
        ['XGROUP', 'CREATE', key, Buffer.concat([group, Buffer.from([g])]), '0'],
        ...(read > 0 ? [['XREADGROUP', 'GROUP', Buffer.concat([group, Buffer.from([g])]), `consumer-${g}`, 'COUNT', `${read}`, 'STREAMS', key, '>']] : []),
      ]),
      ...[...new Set(deleted)].map((i) => ['XDEL', key, `${1700000000000 + i * 7}-${i % 3}`]),
    ]);
}

const record = fc.record({
  db: fc.constantFrom(0, 0, 0, 1, 15),
  key: fc.oneof(bytes, fc.uint8Array({ minLength: 1, maxLength: 30 }).map((array) => Buffer.from(array))),
  value,
  expireAt: fc.option(fc.integer({ min: 4e12, max: 2 ** 50 })),
});

/** Limits of the packed encodings, so that every encoding is written. */
const CONFIGS: Readonly<Record<string, readonly string[]>> = {
  'default limits': [],
  'no packed encodings, no compression': ['--hash-max-listpack-entries', '0', '--zset-max-listpack-entries', '0', '--set-max-intset-entries', '0', '--list-max-listpack-size', '1', '--rdbcompression', 'no'],
  'large packed encodings, LFU': ['--hash-max-listpack-value', '4096', '--zset-max-listpack-value', '4096', '--list-max-listpack-size', '-5', '--maxmemory', '1gb', '--maxmemory-policy', 'allkeys-lfu'],
};

describe(`what ${SERVER} saved is what it answers`, () => {
  for (const [name, config] of Object.entries(CONFIGS)) {
    test(name, async () => {
      const server = await TestServer.start(...config);
      try {
        await fc.assert(
          fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 5000 }), async (records, chunk) => {
            await server.client.flushall();
            for (const { db, key, value: commands, expireAt } of records) {
              await server.client.select(db);
              await server.client.del(key);
              for (const [command, ...args] of commands(key)) await server.client.callBuffer(command as string, ...(args as Buffer[])).catch(refused);
              if (expireAt !== null) await server.client.call('PEXPIREAT', key, `${expireAt}`);
            }
            const rdb = await server.save();
            const truth = await serverTruth(server.client, [0, 1, 15]);
            expect(differences(truth, (await decodeBytes(rdb, { chunks: chunk })).lines)).toEqual([]);
            expect(differences(truth, (await decodeBytes(rdb, { chunks: chunk, limit: 64 })).lines)).toEqual([]);
          }),
          { numRuns: 60 },
        );
      } finally {
        await server.stop();
      }
    });
  }
});

/** A second group of the same name, field expiries before 7.4, or the like: the server says what the key is afterwards. */
function refused(error: unknown): void {
  if (!/BUSYGROUP|equal or smaller|unknown command/i.test(String(error))) throw error;
}
