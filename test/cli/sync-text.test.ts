import { describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/exit.js';
import { fittingText } from '../../src/cli/progress-bar.js';
import { syncFailure } from '../../src/cli/sync-errors.js';
import {
  afterSignalText,
  appliedText,
  goesOnLines,
  laneLines,
  nextLines,
  positionLines,
  RateMeter,
  type Rates,
  statusObject,
  statusParts,
  syncPlanLines,
  type SyncWays,
} from '../../src/cli/sync-text.js';
import { ServerError } from '../../src/commands/restore-terms.js';
import type { LaneStatus, SyncStatus } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { SyncError, SyncGap, SyncReplaced } from '../../src/commands/sync-terms.js';
import { RdbError } from '../../src/commands/terms.js';
import { PlanCounts } from '../../src/sync/planner.js';

const counts = (some: Partial<PlanCounts> = {}): PlanCounts => Object.assign(new PlanCounts(), some);

const lane = (some: Partial<LaneStatus> = {}): LaneStatus => ({
  ...{ name: 'old:6379', connected: true, attached: true, applied: 1000, received: 1000, source: 1000, lagBytes: 0, lagSeconds: 0 },
  ...{ spool: { memory: 0, disk: 0 }, counts: counts(), fetched: 0 },
  ...some,
});

const status = (some: Partial<SyncStatus> = {}): SyncStatus => ({ phase: 'changes', lanes: [lane()], seconds: 10, ...some });

const NO_RATES: Rates = { keys: undefined, ops: undefined, lanes: [] };
const NO_COPY = { bytesRead: 0, totalBytes: undefined, keys: 0 };

describe('rates', () => {
  test('there are none from one status', () => {
    expect(new RateMeter().take(status(), 5)).toEqual({ keys: undefined, ops: undefined, lanes: [undefined] });
  });

  test('per second, of each lane and of all', () => {
    const meter = new RateMeter();
    const at = (seconds: number, a: number, b: number): SyncStatus =>
      status({ seconds, lanes: [lane({ counts: counts({ commands: a }) }), lane({ counts: counts({ commands: b }) })] });
    meter.take(at(1, 10, 0), 0);
    expect(meter.take(at(3, 110, 40), 1000)).toEqual({ keys: 500, ops: 70, lanes: [50, 20] });
    expect(meter.take(at(3, 120, 40), 1000)).toMatchObject({ ops: undefined });
    expect(meter.take(at(4, 100, 40), 900)).toEqual({ keys: 0, ops: 0, lanes: [0, 0] }); // counted from the beginning again
  });
});

describe('one line while it runs', () => {
  test('the full copy', () => {
    const now = status({ phase: 'full', lanes: [lane({ received: 1_501_000 })] });
    const copy = { bytesRead: 25_000_000, totalBytes: 100_000_000, keys: 1_234_567 };
    expect(statusParts(now, { ...NO_RATES, keys: 52_000 }, copy, 2)).toEqual([
      ...['full copy 25%', '1,234,567 keys', '52,000 keys/s', '30 s left', '1.50 MB of writes waiting', '2 keys not brought over'],
    ]);
    expect(statusParts(now, NO_RATES, { ...copy, totalBytes: undefined }, 0).slice(0, 3)).toEqual([
      'full copy 25.0 MB',
      '1,234,567 keys',
      '10 s',
    ]);
    const unknown = status({ phase: 'full', lanes: [lane({ applied: 0, received: 331_000_000 })] }); // no position yet
    expect(statusParts(unknown, NO_RATES, NO_COPY, 0)).toEqual(['full copy 0 B', '0 keys', '10 s']);
  });

  test('changes from one server', () => {
    const now = status({ lanes: [lane({ lagBytes: 1_200_000, lagSeconds: 0.05, spool: { memory: 5, disk: 3_000_000 } })] });
    expect(statusParts(now, { ...NO_RATES, ops: 12_345 }, NO_COPY, 0)).toEqual([
      'changes',
      '12,345 ops/s',
      'lag 1.20 MB, 0.05 s',
      'spool 3.00 MB',
    ]);
  });

  test('of several masters that with the largest lag, and those without a connection', () => {
    const lanes = [
      lane({ name: 'a', lagSeconds: 1, lagBytes: 9 }),
      lane({ name: 'b\n', lagSeconds: 2, lagBytes: 1 }),
      lane({ name: 'c', lagSeconds: 2 }),
    ];
    expect(statusParts(status({ lanes }), NO_RATES, NO_COPY, 0)).toEqual(['changes', 'lag 1 B, 2.0 s (b\\n)']);
    const one = lanes.map((each, i) => ({ ...each, connected: i !== 1 }));
    expect(statusParts(status({ lanes: one }), NO_RATES, NO_COPY, 0)[0]).toBe('changes, no connection to b\\n');
    const none = lanes.map((each) => ({ ...each, connected: false }));
    expect(statusParts(status({ lanes: none }), NO_RATES, NO_COPY, 0)[0]).toBe('changes, no connection to 3 masters');
  });

  test('the end', () => {
    expect(statusParts(status({ phase: 'settling' }), NO_RATES, NO_COPY, 0)).toEqual(['giving keys their expiries']);
  });

  test('as much as fits', () => {
    const parts = ['changes', '12,345 ops/s', 'lag 0 B'];
    expect(fittingText(parts, 79)).toBe('changes  12,345 ops/s  lag 0 B');
    expect(fittingText(parts, 29)).toBe('changes  12,345 ops/s');
    expect(fittingText(parts, 3)).toBe('');
  });

  test('a line for each master', () => {
    const lanes = [lane({ fetched: 3, lagBytes: 7 }), lane({ name: 'b', connected: false, spool: { memory: 0, disk: 2000 } })];
    expect(laneLines(status({ lanes }), { ...NO_RATES, lanes: [50, undefined] })).toEqual([
      '  old:6379: offset 1,000, lag 7 B, 0.00 s, 50 ops/s, 3 keys fetched',
      '  b: no connection, offset 1,000, lag 0 B, 0.00 s, spool 2.00 kB',
    ]);
  });

  test('as JSON', () => {
    const now = status({ seconds: 1.23456, lanes: [lane({ lagSeconds: 0.123456789, source: undefined })] });
    const object = JSON.parse(JSON.stringify(statusObject(now, { ...NO_RATES, ops: 5, lanes: [5] }, NO_COPY, 1))) as unknown;
    expect(object).toEqual({
      status: {
        ...{ phase: 'changes', seconds: 1.235, opsPerSecond: 5, problems: 1 },
        lanes: [
          {
            ...{ name: 'old:6379', connected: true, attached: true, applied: 1000, received: 1000, lagBytes: 0, lagSeconds: 0.123457 },
            ...{ spool: { memory: 0, disk: 0 }, counts: { ...new PlanCounts() }, fetched: 0, opsPerSecond: 5 },
          },
        ],
      },
    });
    const told = { pending: 2, lagSeconds: 0.8, rounds: 3, fetched: 9, written: 8, gone: 1, watched: 0, scans: 0 };
    const byScan = status({ lanes: [], told: { masters: [{ name: 'a', connected: false }], ...told } });
    expect(statusObject(byScan, NO_RATES, NO_COPY, 0).status).toMatchObject({
      lanes: [{ name: 'a', connected: false, attached: true, lagSeconds: 0.8 }],
      told,
    });
    const meter = new RateMeter();
    meter.take(byScan, 0);
    expect(meter.take({ ...byScan, seconds: byScan.seconds + 2, told: byScan.told && { ...byScan.told, written: 18 } }, 0).ops).toBe(5);
    expect(statusObject(status({ phase: 'full' }), { ...NO_RATES, keys: 9 }, NO_COPY, 0)).toMatchObject({
      status: { keys: 0, keysPerSecond: 9 },
    });
  });
});

const WAYS: SyncWays = {
  ...{ confirm: true, holdExpiries: true, notCommand: undefined, onlyCommand: undefined, phase: 'both', publish: false },
  ...{ spool: '/var/spool/x', spoolMax: 20e9, untilCaughtUp: false },
};
const ONE = { clustered: false };

describe('the plan', () => {
  test('usually', () => {
    expect(syncPlanLines(WAYS, ONE)).toEqual([
      'a full copy, then every write since, until stopped',
      'spool: /var/spool/x, up to 20.0 GB',
      'each write is applied once: it is in one transaction with its position',
      'expiries are held: only the source expires keys until the sync ends with --until caught-up or --forget',
    ]);
  });

  test('in other ways', () => {
    const lines = syncPlanLines({ ...WAYS, untilCaughtUp: true, holdExpiries: false, spool: undefined, publish: true }, { clustered: true });
    expect(lines).toEqual([
      'a full copy, then every write since, until the target has caught up',
      'spool: none, so a run that is killed goes on only if the backlog of the source reaches back far enough',
      expect.stringMatching(/^PUBLISH is passed on/),
      expect.stringMatching(/^each write is applied once: positions are kept on every master/),
      expect.stringMatching(/^expiries are exact: a key that is renewed just before it expires may be lost/),
    ]);
    expect(syncPlanLines({ ...WAYS, keepRdb: true }, ONE)[2]).toBe(
      'the RDB of the source is kept with the spool, beyond its limit, until the full copy is done',
    );
    expect(syncPlanLines({ ...WAYS, phase: 'full' }, ONE)).toEqual(['a full copy, and nothing after it']);
  });

  test('commands that are left out', () => {
    const line = syncPlanLines({ ...WAYS, onlyCommand: ['set', 'del'], notCommand: ['incr'] }, ONE).find((text) =>
      text.startsWith('warning'),
    );
    expect(line).toBe('warning: of the writes, only set, del, not incr: what other commands write is missing on the target.');
  });

  test('of a run that goes on', () => {
    const lanes = [
      { name: 'a:1', offset: 174_000 },
      { name: 'b:1', offset: 2 },
    ];
    expect(goesOnLines(lanes, WAYS)).toEqual([
      'no full copy: going on where an earlier run ended, until stopped',
      '  a:1 from offset 174,000',
      '  b:1 from offset 2',
      'spool: /var/spool/x, up to 20.0 GB',
    ]);
  });
});

describe('the end', () => {
  test('what was applied', () => {
    expect(appliedText({ lanes: [lane()] })).toBe('0 commands of the source');
    const some = { filtered: 1, ignored: 2, superseded: 3, split: 4, apart: 5, transactionsApart: 1 };
    const lanes = [
      lane({ counts: counts({ commands: 1000, ...some }), fetched: 6 }),
      lane({ counts: counts({ commands: 234, filtered: 1 }) }),
    ];
    expect(appliedText({ lanes })).toBe(
      '1,234 commands of the source, 2 left out by filters, 2 left out by options, 3 older than a fetched value, 4 sent in parts, ' +
        '5 whose keys were fetched instead, 1 transaction taken apart, 6 keys fetched',
    );
  });

  test('where it stands', () => {
    const lanes = [lane({ received: 3000 }), lane({ name: 'b' })];
    expect(positionLines({ caughtUp: true, lanes })).toEqual(['caught up with old:6379: offset 1,000', 'caught up with b: offset 1,000']);
    expect(positionLines({ caughtUp: false, lanes })).toEqual([
      'position of old:6379: offset 1,000, and 2.00 kB of writes after it were received',
      'position of b: offset 1,000',
    ]);
  });

  test('what to do next', () => {
    const ways = { phase: 'both', source: { access: { url: parseServerUrl('redis://:secret@old:6379') } } } as const;
    expect(nextLines({ caughtUp: true }, ways)).toEqual([
      'next: to switch over, add --pause-source 30s, which stops the writers while the target gets the last writes. Or by hand:',
      '  redis-cli -u redis://old:6379 CLIENT PAUSE 60000 WRITE    (on every master)',
      '  the same rdbkit command once more; then point your clients at the target, and end the sync with --forget.',
    ]);
    expect(nextLines({ caughtUp: false }, { ...ways, phase: 'full' })).toEqual([expect.stringContaining('without --phase full')]);
    expect(nextLines({ caughtUp: false }, ways)).toEqual([]);
  });

  test('after a signal', () => {
    expect(afterSignalText({ kept: false, lanes: [lane()] }, WAYS, true)).toBe(
      ' All that was received is applied. Expiries on the target are still held: --until caught-up or --forget releases them. ' +
        'Run the same command again to go on.',
    );
    expect(afterSignalText({ kept: false, lanes: [lane({ received: 3000 })] }, { holdExpiries: false }, true)).toBe(
      ' All but the last 2.00 kB that was received is applied. Run the same command again to go on.',
    );
    expect(afterSignalText({ kept: false, lanes: [] }, WAYS, false)).toBe(
      ' The full copy is not complete, and begins anew when the same command is run again.',
    );
    expect(afterSignalText({ kept: true, lanes: [] }, WAYS, false)).toBe(
      ' The full copy is not complete, but its RDB is kept: the same command goes on from that.',
    );
  });
});

describe('errors', () => {
  test.each<[unknown, string]>([
    [
      new SyncGap('old:6379', 'it keeps 5 bytes only'),
      'GAP: old:6379: it keeps 5 bytes only. The target is as it was left. --on-gap full makes a full copy again.',
    ],
    [new SyncGap('a', 'a: gone; b: gone'), 'GAP: a: gone; b: gone. The target is as it was left. --on-gap full makes a full copy again.'],
    [new SyncReplaced('a'), 'REPLACED: a: another run of this sync has begun, so this one ends. Nothing is lost: '],
    [new SyncError('a', 'use --fresh\u001b!'), 'SYNC: a: use --fresh\\u001b!'],
    [
      new ServerError('LOST', 'new:6379', 'it closed the connection'),
      'LOST: new:6379: it closed the connection. Everything that the server confirmed is restored. ',
    ],
  ])('%s', (error, line) => {
    expect(syncFailure(error, true)).toMatchObject({ code: 4, line: expect.stringContaining(line) as string });
  });

  test('what cannot be read', () => {
    const error = new RdbError('BAD_SPOOL', { file: '/x/1.seg', expected: 'a segment', got: 'noise' });
    expect(syncFailure(error, false)).toMatchObject({
      code: 3,
      line: expect.stringMatching(/^BAD_SPOOL: \/x\/1\.seg: .*--spool/) as string,
    });
  });

  test('advice names no option that a sync does not have', () => {
    const reasons = [
      "NOPERM this user has no permissions to run the 'psync' command",
      "ERR unknown command 'restore'",
      'x: no RESTORE command',
    ];
    for (const reason of reasons) {
      for (const readAs of ['source', undefined] as const) {
        const error = Object.assign(new ServerError('REFUSED', 'a:1', reason), { readAs });
        for (const copied of [true, false]) expect(syncFailure(error, copied)?.line).not.toMatch(/--write-as/);
      }
    }
  });

  test('a signal', () => {
    const signal = new Interruption('SIGTERM');
    expect(syncFailure(signal, true)).toMatchObject({ code: 143, line: 'interrupted by SIGTERM. Run the same command again to go on.' });
    expect(syncFailure(signal, false)).toBeUndefined();
  });

  test('a server that is lost says how to go on once there is a position, and only then', () => {
    const lost = new ServerError('LOST', 'new:6379', 'it closed the connection');
    expect(syncFailure(lost, true)?.line).toMatch(/ Run the same command again to go on\.$/);
    expect(syncFailure(lost, false)?.line).toBe(
      'LOST: new:6379: it closed the connection. No key was restored. Use --retry-for to wait longer.',
    );
    expect(syncFailure(new Error('x'), true)).toBeUndefined();
  });
});
