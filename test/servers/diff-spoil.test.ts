import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DifferenceKind } from '../../src/diff/key-table.js';
import { Folder, rdbkit } from '../support/cli-support.js';
import { FACTOR } from '../support/factor.js';
import { randomFrom } from '../support/fault-proxy.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { urlOf } from '../support/restore-support.js';
import { Chance, type Expected, SpoiledData } from '../support/spoils.js';

const SEED = 20;
const ROUNDS = Math.max(1, Math.round(4 * FACTOR));
/** Keys that something is done to before each look. */
const SPOILS = 30;

interface Found {
  db: number;
  key: string;
  kinds: DifferenceKind[];
}

/** Differences as lines, in an order of their own. */
const told = (found: readonly Found[]): string[] => found.map(({ db, key, kinds }) => `${db} ${key}: ${kinds.join(', ')}`).sort();

const folder = new Folder();
let target: TestServer;
let data: SpoiledData;
let rdb: Uint8Array;
let file: string;

beforeAll(async () => {
  target = await TestServer.start('--enable-debug-command', 'yes', '--repl-diskless-sync-delay', '0');
  data = new SpoiledData(target, new Chance(randomFrom(SEED)));
  await data.write();
  rdb = await target.save();
  file = folder.file('before.rdb', rdb);
});
afterAll(async () => {
  data.close();
  await target.stop();
  folder.remove();
});

async function found(...argv: string[]): Promise<{ code: number | null; lines: string[] }> {
  const { code, err, out } = await rdbkit(['diff', ...argv, '--format', 'json']);
  if (code !== 0 && code !== 1) throw new Error(err);
  return {
    code,
    lines: told(
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Found),
    ),
  };
}

/** What is expected of a look: at keys alone, values do not count; with the sides exchanged, what was missing is extra. */
function seen(expected: readonly Expected[], look: { level: string; streams: string; reversed?: boolean }): string[] {
  const turned: Readonly<Partial<Record<DifferenceKind, DifferenceKind>>> =
    look.reversed === true ? { missing: 'extra', extra: 'missing' } : {};
  const counting = expected.filter(({ onlyFull }) => !onlyFull || look.streams === 'full');
  const all = counting.map(({ kinds, ...one }) => ({
    ...one,
    kinds: kinds.filter((kind) => look.level === 'values' || kind !== 'value').map((kind) => turned[kind] ?? kind),
  }));
  return told(all.filter(({ kinds }) => kinds.length > 0));
}

describe(`single changes of a live ${SERVER}`, () => {
  test('the data alone: no difference', async () => {
    for (const via of ['scan', 'replication'])
      expect(await found(urlOf(target), file, '--via', via, '--level', 'values', '--streams', 'full')).toEqual({ code: 0, lines: [] });
  });

  test.each(Array.from({ length: ROUNDS }, (_, i) => i))('each is named, and nothing else: round %i', async (round) => {
    await target.load(rdb);
    const { done, expected } = await data.spoil(SPOILS);
    const moved = done.filter((name) => name === 'moved to another database').length;
    const url = urlOf(target);
    const saved = folder.file('after.rdb', await target.save());
    const databases = ['--db', '0,3'];
    const note = `round ${round}: ${done.join('; ')}`;
    const looks = [
      { level: 'values', streams: 'full', argv: [file, url] },
      { level: 'values', streams: 'data', argv: [url, file, '--via', 'scan'], reversed: true },
      { level: 'values', streams: 'full', argv: [url, file, '--via', 'replication'], reversed: true },
      { level: 'values', streams: 'data', argv: [file, saved] },
      { level: 'keys', streams: 'data', argv: [url, file, '--via', 'scan'], reversed: true },
    ];
    for (const { argv, ...look } of looks) {
      const want = seen(expected, look);
      const streams = look.level === 'values' ? ['--streams', look.streams] : [];
      expect(await found(...argv, '--level', look.level, ...streams, ...databases), note).toEqual({
        code: want.length > 0 ? 1 : 0,
        lines: want,
      });
    }
    const everything = await found(file, saved, '--level', 'values', '--streams', 'full');
    expect(everything.lines.length, note).toBe(seen(expected, { level: 'values', streams: 'full' }).length + moved);
  });
});
