import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { commandArgs } from '../../src/redis/commands.js';
import { Effect, repeatable, withEffect } from '../../src/sync/commands/effects.js';
import { heldExpiry } from '../../src/sync/commands/expiries.js';
import { specFromServer } from '../../src/sync/commands/server-spec.js';
import { type CommandSpec, newKeyArgs } from '../../src/sync/commands/spec.js';
import { SPECS } from '../../src/sync/commands/specs.js';
import { otherDatabase, splitCommand, withReplace } from '../../src/sync/commands/split.js';
import { CommandTable } from '../../src/sync/commands/table.js';
import { COMMAND_SAMPLES } from '../support/command-samples.js';
import { streamCommand } from '../support/stream-commands.js';

const table = new CommandTable();
const words = (line: string): string[] => line.split(' ').map((word) => (word === '""' ? '' : word));

function spec(...args: readonly string[]): CommandSpec {
  const found = table.of(streamCommand(...args));
  if (found === undefined) throw new Error(`${args[0]} is unknown`);
  return found;
}

/** The arguments of a command that was written; none for undefined. */
const written = (bytes: Uint8Array | undefined): string =>
  bytes === undefined
    ? ''
    : commandArgs(bytes, 0)
        .map((arg) => Buffer.from(arg).toString())
        .join(' ');

describe('find', () => {
  test('every name, in any case, and no other', () => {
    for (const one of SPECS) {
      for (const name of [one.name, one.name.toUpperCase(), one.name[0].toUpperCase() + one.name.slice(1)]) expect(spec(name)).toBe(one);
      for (const name of [`${one.name}x`, one.name.slice(1), `x${one.name.slice(1)}\0`])
        expect(table.of(streamCommand(name))?.name).not.toBe(one.name);
    }
    expect(new Set(SPECS.map(({ name }) => name)).size).toBe(SPECS.length);
    for (const name of ['', 'get', 'x'.repeat(100_000), 'ft\x0e_create', 'json\x0eset'])
      expect(table.of(streamCommand(name))).toBeUndefined();
  });

  test('a command is added, or replaces the one of its name', () => {
    const own = new CommandTable();
    const names = Array.from({ length: 1000 }, (_, i) => `own.command${i}`);
    for (const name of names) own.add({ ...spec('set', 'k', 'v'), name });
    for (const name of [...names, 'set']) expect(own.of(streamCommand(name.toUpperCase()))?.name).toBe(name);
    const other = { ...spec('set', 'k', 'v'), key: 2 };
    own.add(other);
    expect(own.of(streamCommand('SET'))).toBe(other);
    expect(own.of(streamCommand('set', 'k', 'v'))).toBe(other);
  });

  test('CLUSTER FLUSHSLOT is no other CLUSTER', () => {
    expect(spec('CLUSTER', 'FlushSlot', '5').kind).toBe('flushslot');
    expect(spec('CLUSTER', 'SYNCSLOTS', 'ESTABLISH').kind).toBe('quiet');
    expect(spec('CLUSTER').kind).toBe('quiet');
  });
});

/** The names of the keys that a command writes and reads. */
function keysOf(one: CommandSpec, line: string): { writes: string[]; reads: string[] } {
  const args = words(line);
  const found = newKeyArgs();
  found.writes.push(77); // what another command left
  if (!one.keys(streamCommand(...args), found)) throw new Error(`no keys: ${line}`);
  return { writes: found.writes.map((arg) => args[arg]), reads: found.reads.map((arg) => args[arg]) };
}

const FACTS = readdirSync(join(import.meta.dirname, '../../fixtures/commands')).map((file) => {
  const json = gunzipSync(readFileSync(join(import.meta.dirname, '../../fixtures/commands', file))).toString();
  return JSON.parse(json) as { server: string; commands: [string, ...unknown[]][] };
});

/** Where a server says less than there is. */
const OWN_KEYS: Readonly<Record<string, string>> = {
  xreadgroup: 'says that it only reads; it moves a group on',
  sort: 'leaves STORE to GETKEYSANDFLAGS',
  migrate: 'says that the empty argument is a key',
  'ts.createrule': 'names one of two keys',
  'ts.deleterule': 'names one of two keys',
  'tdigest.merge': 'names one of its keys',
  'cms.merge': 'names one of its keys',
  'ft.add': 'says that the index is a key',
  'ft.safeadd': 'says that the index is a key',
  'ft.del': 'says that the index is a key',
};

describe.each(FACTS)('$server', ({ commands }) => {
  test('every command that writes is in the table, as one that does', () => {
    for (const [name] of commands) {
      const [word, part = ''] = name.split('|');
      expect(table.of(streamCommand(word, part))?.kind ?? `${name} is unknown`).not.toMatch(/quiet|unknown/);
    }
  });

  test('every one that has keys has a sample, in which the keys are as the server says', () => {
    for (const [name, ...fact] of commands) {
      const server = specFromServer([name, ...fact]);
      const prefix = `${name.replace('|', ' ')} `;
      const samples = COMMAND_SAMPLES.filter((line) => `${line} `.toLowerCase().startsWith(prefix));
      const keyless = fact[2] === 0 && (fact[7] as unknown[]).length === 0;
      if (server === undefined || samples.length === 0) {
        expect([name, keyless || table.of(streamCommand(name))?.kind === 'indexes' || name.startsWith('ft.syn')]).toEqual([name, true]);
        continue;
      }
      for (const line of samples) {
        const own = spec(...words(line));
        const { writes, reads } = keysOf(own, line);
        if (own.key > 0) expect([line, writes, reads]).toEqual([line, [words(line)[own.key]], []]);
        if (name in OWN_KEYS) continue;
        const said = keysOf(server, line);
        expect([line, writes.sort(), reads.sort()]).toEqual([line, said.writes.sort(), said.reads.sort()]);
      }
    }
  });
});

describe('keys', () => {
  test.each([
    ['SORT k1 BY w_* GET # STORE k2', ['k2'], ['k1'], 'reads'],
    ['SORT k1 GET store STORE k2', ['k2'], ['k1'], 'none'],
    ['EVAL s 2 k1 k2 a', ['k1', 'k2'], [], 'writes'],
    ['FCALL f 0 a', [], [], 'writes'],
    ['XREADGROUP GROUP g c COUNT 1 STREAMS k1 k2 > >', ['k1', 'k2'], [], 'none'],
    ['MIGRATE h 1 "" 0 1 COPY KEYS k1 k2', ['k1', 'k2'], [], 'none'],
    ['MIGRATE h 1 k1 0 1 REPLACE', ['k1'], [], 'none'],
    ['TS.ADD k1 1 1', ['k1'], [], 'writes'],
    ['TS.MADD k1 1 1 k2 1 1', ['k1', 'k2'], [], 'writes'],
    ['TS.CREATERULE k1 k2 AGGREGATION avg 1', ['k1', 'k2'], [], 'none'],
    ['TDIGEST.MERGE k1 2 k2 k3 COMPRESSION 1', ['k1'], ['k2', 'k3'], 'none'],
    ['CMS.MERGE k1 1 k2', ['k1'], ['k2'], 'none'],
    ['FT.ADD i k1 1 FIELDS a b', ['k1'], [], 'none'],
    ['ZMOVE k1 k2 MIN', ['k1', 'k2'], [], 'none'],
    ['HIMPORT SET k1 f v', ['k1'], [], 'none'],
  ])('%s', (line, writes, reads, undeclared) => {
    const one = spec(...words(line));
    const found = newKeyArgs();
    expect(keysOf(one, line)).toEqual({ writes, reads });
    one.keys(streamCommand(...words(line)), found);
    expect(found.undeclared).toBe(undeclared);
  });

  test('none where the arguments make no sense', () => {
    const lines = [
      'SET',
      'RENAME k1',
      'DEL',
      'MSET k1',
      'MSET k1 v k2',
      'EVAL s',
      'EVAL s x k1',
      'EVAL s -1',
      'EVAL s 2 k1',
      'EVAL s 99999999999999999999 k1',
      'ZUNIONSTORE k1 0',
      'ZUNIONSTORE k1 3 k2 k3',
      'MSETEX 2 k1 v k2',
      'LMPOP 1',
      'LMPOP 1.5 k1 LEFT',
      'BLPOP 1',
      'XREADGROUP GROUP g c STREAMS',
      'XREADGROUP GROUP g c STREAMS k1 k2 >',
      'XREADGROUP GROUP g c',
      'MIGRATE h 1 "" 0 1 COPY',
      'SORT',
      'SORT k1 STORE',
      'BITOP NOT k1',
      'JSON.MSET k1 $',
      'GEORADIUS k1',
      'SUNIONSTORE k1',
      'XGROUP CREATE',
    ];
    for (const line of lines) expect([line, spec(...words(line)).keys(streamCommand(...words(line)), newKeyArgs())]).toEqual([line, false]);
  });
});

describe('specFromServer', () => {
  const flags = ['write', 'denyoom'];

  test('a command that only reads, and what is no entry, gives none', () => {
    const entries = [
      undefined,
      null,
      5,
      [],
      ['x'],
      ['get', 2, ['readonly', 'fast'], 1, 1, 1],
      ['', 2, ['write'], 1, 1, 1],
      ['x', 2, 'write', 1, 1, 1],
    ];
    for (const entry of entries) expect(specFromServer(entry)).toBeUndefined();
  });

  test('of a server before 7.0: first, last and step', () => {
    const one = specFromServer([Buffer.from('Own.Set'), -3, flags.map((flag) => Buffer.from(flag)), 1, -1, 2]);
    expect(one).toMatchObject({ name: 'own.set', kind: 'write', key: 0 });
    expect(one && keysOf(one, 'own.set k1 v k2 v')).toEqual({ writes: ['k1', 'k2'], reads: [] });
    expect(one?.effect(streamCommand('own.set', 'k1'))).toBe(Effect.NEVER);
    expect(one?.keys(streamCommand('own.set', 'k1'), newKeyArgs())).toBe(false);
  });

  test('where it does not say all, there may be other keys', () => {
    const movable = specFromServer(['own.a', -3, [...flags, 'movablekeys'], 1, 1, 1]);
    const incomplete = specFromServer([
      'own.b',
      -3,
      flags,
      1,
      1,
      1,
      [],
      [],
      [
        [
          'flags',
          ['RW', 'incomplete'],
          'begin_search',
          ['type', 'index', 'spec', ['index', 1]],
          'find_keys',
          ['type', 'range', 'spec', ['lastkey', 0, 'keystep', 1, 'limit', 0]],
        ],
      ],
    ]);
    for (const one of [movable, incomplete]) {
      const found = newKeyArgs();
      expect(one?.keys(streamCommand('own', 'k1', 'x'), found)).toBe(true);
      expect({ ...found, key: one?.key }).toEqual({ writes: [1], reads: [], undeclared: 'writes', key: 0 });
    }
  });

  test('of a command with parts: by the second word', () => {
    const part = (name: string, index: number, flag: string): unknown => [
      name,
      3,
      [flag],
      index,
      index,
      1,
      [],
      [],
      [
        [
          'flags',
          ['OW'],
          'begin_search',
          ['type', 'index', 'spec', ['index', index]],
          'find_keys',
          ['type', 'range', 'spec', ['lastkey', 0, 'keystep', 1, 'limit', 0]],
        ],
      ],
    ];
    const one = specFromServer([
      'own',
      -2,
      [],
      0,
      0,
      0,
      [],
      [],
      [],
      [part('own|first', 2, 'write'), part('own|last', 3, 'write'), part('own|look', 2, 'readonly')],
    ]);
    expect(one && keysOf(one, 'OWN FIRST k1')).toEqual({ writes: ['k1'], reads: [] });
    expect(one?.keys(streamCommand('own', 'last', 'k1'), newKeyArgs())).toBe(false);
    expect(one?.keys(streamCommand('own', 'look', 'k1'), newKeyArgs())).toBe(false);
    expect(one?.keys(streamCommand('own'), newKeyArgs())).toBe(false);
  });
});

/** What a sequence of commands on one key comes to. */
const effectOf = (lines: readonly string[]): number =>
  lines.reduce((effect, line) => withEffect(effect, spec(...words(line)).effect(streamCommand(...words(line)))), 0);

describe('repeatable', () => {
  test.each([
    ['SET k v'],
    ['SET k v; INCR k; APPEND k a; EXPIREAT k 1'],
    ['INCR k; DEL k'],
    ['RENAME k j; DEL k'],
    ['RPUSH k a; DEL k; RPUSH k b'],
    ['SADD k a; SADD k b'],
    ['SREM k a; SREM k b'],
    ['HSET k f v; PEXPIREAT k 1; HPEXPIREAT k 1 FIELDS 1 f'],
    ['HSET k f v; HPEXPIREAT k 1 NX FIELDS 1 f'],
    ['ZADD k CH 1 a'],
    ['PERSIST k'],
    ['SETRANGE k 0 a; SET k v KEEPTTL; SETBIT k 0 1'],
    ['LREM k 0 a'],
    ['LSET k 0 a'],
    ['RESTORE k 0 v; INCR k'],
    ['MSET k v j v'],
    ['MSETEX 1 k v PXAT 9'],
    ['RESTORE-ASKING k 5 v ABSTTL'],
    ['SPOP k; DEL k'],
    ['GETEX k PXAT 1'],
    ['HGETEX k PERSIST FIELDS 1 f; HSETEX k PXAT 5 FIELDS 1 f v'],
    ['SETEX k 1 v; SET k v'],
    ['EXPIRE k 1; DEL k'],
    ['SET k v PXAT 5 GET; SETRANGE k 0 a'],
    ['PFADD k a; PFADD k b'],
  ])('%s may be applied again', (lines) => {
    expect(repeatable(effectOf(lines.split('; ')), true)).toBe(true);
  });

  test.each([
    ['INCR k'],
    ['SET k v NX'],
    ['SET k v XX'],
    ['SET k v IFEQ get'],
    ['SADD k a; SREM k a'],
    ['HSET k f v; HDEL k f'],
    ['HSET k f v; SET k v KEEPTTL'],
    ['SET k v; RENAME k j'],
    ['SETEX k 1 v'],
    ['SET k v EX 1'],
    ['SET k v PX 1'],
    ['EXPIRE k 1'],
    ['GETEX k EX 1'],
    ['RESTORE k 5 v REPLACE'],
    ['ZADD k NX 1 a'],
    ['ZADD k CH GT 1 a'],
    ['ZADD k INCR 1 a'],
    ['LREM k 1 a'],
    ['PFADD k a; SETRANGE k 0 a'],
    ['HPEXPIREAT k 1 GT FIELDS 2 f g'],
    ['HSETEX k KEEPTTL FIELDS 1 f v'],
    ['HSETEX k FNX FIELDS 1 f v'],
    ['HSETEX k EX 1 FIELDS 1 f v'],
    ['MSETEX 1 k v NX'],
    ['MSETEX 1 k v EX 1'],
    ['DEL k; SPOP k'],
    ['TS.INCRBY k 1'],
    ['XADD k 1-1 f v'],
    ['JSON.SET k $ 1'],
    ['EVAL s 1 k'],
    ['SADD k a; GETSET k v'],
    ['SUNIONSTORE k j'],
    ['PFCOUNT k'],
    ['MSETNX k v'],
    ['SPEXPIREAT k 1 MEMBERS 1 a'],
  ])('%s may not', (lines) => {
    expect(repeatable(effectOf(lines.split('; ')), true)).toBe(false);
  });

  test('with expiries that are not held, only what has none', () => {
    const some = [
      'SET k v PXAT 1',
      'PEXPIREAT k 1',
      'HPEXPIREAT k 1 FIELDS 1 f',
      'HSETEX k PXAT 1 FIELDS 1 f v',
      'RESTORE k 1 v REPLACE ABSTTL',
      'GETEX k EXAT 1',
      'MSETEX 1 k v PXAT 1',
    ];
    for (const line of some)
      expect([line, repeatable(effectOf([line]), true), repeatable(effectOf([line]), false)]).toEqual([line, true, false]);
    expect(repeatable(effectOf(['SET k v', 'PERSIST k', 'SADD k a']), false)).toBe(true);
  });
});

describe('changed', () => {
  test.each([
    ['GEORADIUS k 1 2 3 km STORE j', 700],
    ['GEORADIUSBYMEMBER k m 3 km STOREDIST j', 700],
    ['XCLAIM k g c 0 1-1 TIME 5 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1', 0],
    ['XCLAIM k g c 0 1-1 TIME 5 RETRYCOUNT 1 FORCE JUSTID LASTID 2-1', 700],
    ['XCLAIM k g c 0 1-1 TIME 5 RETRYCOUNT 2 FORCE JUSTID LASTID 1-1', 700],
    ['XCLAIM k g c 0 1-1', 700],
    ['XACK k g 1-1', 0],
  ])('%s', (line, release) => {
    expect(spec(...words(line)).changed(streamCommand(...words(line)))).toBe(release);
  });
});

describe('heldExpiry', () => {
  const SHIFT = 2 ** 40;
  const NOW = 1_700_000_000_000;
  const held = (line: string): string => written(heldExpiry(streamCommand(...words(line)), spec(...words(line)), SHIFT, NOW));
  const at = NOW + SHIFT;

  test.each([
    ['SET k v PXAT 1700000000000', `SET k v PXAT ${at}`],
    ['set k ex get exat 1700000000', `set k ex get PXAT ${at}`],
    ['SET k v EX 5', `SET k v PXAT ${at + 5000}`],
    ['SET k v XX PX 5 GET', `SET k v XX PXAT ${at + 5} GET`],
    ['SET k v IFEQ px EX 1', `SET k v IFEQ px PXAT ${at + 1000}`],
    ['SETEX k 5 v', `SET k v PXAT ${at + 5000}`],
    ['PSETEX k 5 v', `SET k v PXAT ${at + 5}`],
    ['EXPIRE k 5 NX', `PEXPIREAT k ${at + 5000}`],
    ['PEXPIRE k 5', `PEXPIREAT k ${at + 5}`],
    ['EXPIREAT k 1700000000 GT', `PEXPIREAT k ${at}`],
    ['PEXPIREAT k 1700000000000 LT', `PEXPIREAT k ${at}`],
    ['PEXPIREAT k -5', `PEXPIREAT k ${SHIFT - 5}`],
    ['PEXPIREAT k 9007199254740993', `PEXPIREAT k ${9007199254740993n + BigInt(SHIFT)}`],
    ['EXPIREAT k 9007199254740', `PEXPIREAT k ${9007199254740000n + BigInt(SHIFT)}`],
    ['PEXPIREAT k 9223372036854775807', 'PEXPIREAT k 9223372036854775807'],
    ['GETEX k EX 5', `PEXPIREAT k ${at + 5000}`],
    ['GETEX k PERSIST', 'PERSIST k'],
    ['RESTORE k 5 v', `RESTORE k ${at + 5} v REPLACE ABSTTL`],
    ['restore k 0 v', 'RESTORE k 0 v REPLACE'],
    ['RESTORE k 5 v REPLACE FREQ 3', `RESTORE k ${at + 5} v REPLACE FREQ 3 ABSTTL`],
    ['RESTORE k 1700000000000 absttl ABSTTL REPLACE', `RESTORE k ${at} absttl ABSTTL REPLACE`],
    ['RESTORE-ASKING k 1700000000000 v ABSTTL', `RESTORE k ${at} v ABSTTL REPLACE`],
    ['RESTORE-ASKING k 0 replace', 'RESTORE k 0 replace REPLACE'],
    ['restore-asking k 0 v REPLACE', 'RESTORE k 0 v REPLACE'],
    ['RESTORE-ASKING k 5 v REPLACE IDLETIME 4', `RESTORE k ${at + 5} v REPLACE IDLETIME 4 ABSTTL`],
    ['HEXPIRE k 5 FIELDS 2 f g', `HPEXPIREAT k ${at + 5000} FIELDS 2 f g`],
    ['HPEXPIRE k 5 NX FIELDS 1 f', `HPEXPIREAT k ${at + 5} FIELDS 1 f`],
    ['HEXPIREAT k 1700000000 GT FIELDS 2 f g', `HPEXPIREAT k ${at} GT FIELDS 2 f g`],
    ['HPEXPIREAT k 1700000000000 LT FIELDS 1 f', `HPEXPIREAT k ${at} FIELDS 1 f`],
    ['HPEXPIREAT k 253402300799000 FIELDS 1 f', 'HPEXPIREAT k 70368744177663 FIELDS 1 f'],
    ['HSETEX k PXAT 253402300799000 FIELDS 1 f v', 'HSETEX k PXAT 70368744177663 FIELDS 1 f v'],
    ['HGETEX k EX 5 FIELDS 1 f', `HPEXPIREAT k ${at + 5000} FIELDS 1 f`],
    ['HGETEX k PERSIST FIELDS 2 f g', 'HPERSIST k FIELDS 2 f g'],
    ['HSETEX k FNX EX 5 FIELDS 1 px 7', `HSETEX k FNX PXAT ${at + 5000} FIELDS 1 px 7`],
    ['MSETEX 2 ex 1 px 2 EX 5 NX', `MSETEX 2 ex 1 px 2 PXAT ${at + 5000} NX`],
    ['SEXPIRE k 5 XX MEMBERS 1 m', `SPEXPIREAT k ${at + 5000} MEMBERS 1 m`],
    ['SPEXPIREAT k 1700000000000 MEMBERS 2 m n', `SPEXPIREAT k ${at} MEMBERS 2 m n`],
    ['SADDEX k MNX PX 5 MEMBERS 1 m', `SADDEX k MNX PXAT ${at + 5} MEMBERS 1 m`],
    ['INCREX k BYINT 2 EX 5 ENX', `INCREX k BYINT 2 PXAT ${at + 5000} ENX`],
  ])('%s', (line, expected) => {
    expect(held(line)).toBe(expected);
  });

  test.each([
    ['SET k v'],
    ['SET k v KEEPTTL'],
    ['SET k v IFEQ ex 5'],
    ['SET k v EX'],
    ['SET k v EX x'],
    ['SET k v EX 99999999999999999999'],
    ['GETEX k'],
    ['PERSIST k'],
    ['INCR k'],
    ['DEL k'],
    ['HSETEX k FIELDS 1 ex 5'],
    ['HSETEX k KEEPTTL FIELDS 1 px 5'],
    ['HGETEX k FIELDS 1 persist'],
    ['HGETEX k EX 5'],
    ['MSETEX 1 ex 5'],
    ['MSETEX 1 k ex KEEPTTL'],
    ['MSETEX x k v EX 5'],
    ['RESTORE k 0 v REPLACE'],
    ['RESTORE k x v'],
    ['RESTORE k 5'],
    ['SETEX k 5'],
    ['EXPIRE k'],
    ['EXPIRE k ""'],
    ['SADDEX k MEMBERS 2 ex 5'],
    ['HEXPIRE k 5 FIELDS'],
  ])('%s is sent as it is', (line) => {
    expect(held(line)).toBe('');
  });

  test('bytes are as in the command, also long ones', () => {
    const value = Buffer.from(Array.from({ length: 5000 }, (_, i) => i & 255));
    const bytes = heldExpiry(streamCommand('SET', value, value, 'PX', '1'), spec('SET', '', '', ''), SHIFT, NOW);
    const args = bytes === undefined ? [] : commandArgs(bytes, 0);
    expect(args.slice(1, 3).every((arg) => value.equals(arg))).toBe(true);
    expect(args.length).toBe(5);
    const long = heldExpiry(streamCommand('PEXPIREAT', Buffer.alloc(2 ** 21, 'k'), '1'), spec('PEXPIREAT', '', ''), SHIFT, NOW);
    expect(held('PEXPIRE k 5')).toBe(`PEXPIREAT k ${at + 5}`); // writes elsewhere
    expect(long && commandArgs(long, 0)[1].every((byte) => byte === 0x6b)).toBe(true);
  });
});

describe('commands written anew', () => {
  test('the part of a command that concerns some keys', () => {
    const part = (line: string, keep: readonly number[]): string =>
      written(splitCommand(streamCommand(...words(line)), spec(...words(line)), keep));
    expect(part('DEL a b c', [1, 3])).toBe('DEL a c');
    expect(part('mset a 1 b 2 c 3', [3])).toBe('mset b 2');
    expect(part('JSON.MSET a $ 1 b $ 2', [4])).toBe('JSON.MSET b $ 2');
    expect(() => part('RENAME a b', [1])).toThrow('rename cannot be taken apart');
  });

  test('FUNCTION LOAD gains REPLACE', () => {
    expect(written(withReplace(streamCommand('FUNCTION', 'load', 'code')))).toBe('FUNCTION load REPLACE code');
    for (const line of ['FUNCTION LOAD REPLACE code', 'FUNCTION DELETE name', 'FUNCTION FLUSH'])
      expect(withReplace(streamCommand(...words(line)))).toBeUndefined();
  });

  test('RESTORE-ASKING becomes RESTORE … REPLACE', () => {
    const plain = (line: string): string => written(heldExpiry(streamCommand(...words(line)), spec(...words(line)), 0, 0));
    expect(plain('RESTORE-ASKING k 0 replace')).toBe('RESTORE k 0 replace REPLACE');
    expect(plain('RESTORE-ASKING k 5 v replace ABSTTL')).toBe('RESTORE k 5 v replace ABSTTL');
    expect(plain('RESTORE k 0 v')).toBe('RESTORE k 0 v REPLACE');
    expect(plain('restore k 0 v REPLACE')).toBe('');
  });

  test('the database that MOVE and COPY write to', () => {
    const database = (line: string): number | undefined => otherDatabase(streamCommand(...words(line)), spec(...words(line)));
    expect(database('MOVE k 3')).toBe(3);
    expect(database('COPY db j REPLACE db 12')).toBe(12);
    for (const line of ['COPY k db', 'COPY k j REPLACE', 'MOVE k x', 'MOVE k', 'COPY k j DB']) expect(database(line)).toBeUndefined();
  });
});
