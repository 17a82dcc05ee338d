import { describe, expect, test } from 'vitest';
import { MOST_SAMPLES, StatusBoard } from '../../src/status/board.js';
import { byScan, COPY, FACTS, fields, lane, TOLD } from '../support/status-facts.js';

test('before the first second', () => {
  const { now } = new StatusBoard(FACTS);
  expect(now).toMatchObject({ ...FACTS, phase: 'connecting', lanes: [], problems: 0, lastProblems: [] });
  expect([now.unwell, now.copy]).toEqual(['connecting to source and target', undefined]);
});

describe('how well it is', () => {
  test('a lost connection is one after ten seconds, and until it is back', () => {
    const board = new StatusBoard(FACTS);
    const at = (seconds: number, ...lanes: ReturnType<typeof lane>[]): string | undefined => {
      board.take(fields({ seconds, lanes }), COPY);
      return board.now.unwell;
    };
    const lost = lane({ connected: false });
    const other = lane({ name: 'old:6380' });
    expect([at(1, lane(), other), at(2, lost, other), at(11.9, lost, other)]).toEqual([undefined, undefined, undefined]);
    expect(board.now.lanes.map(({ lostFor }) => lostFor)).toEqual([9.9, undefined]);
    expect(at(12, lost, other)).toBe('no connection to old:6379 for 10 s');
    expect(at(20, lost, other)).toBe('no connection to old:6379 for 18 s');
    expect([at(21, lane(), other), at(22, lost, other), at(33, other)]).toEqual([undefined, undefined, undefined]);
  });

  test('so is a source that tells nothing', () => {
    const board = new StatusBoard(FACTS);
    board.take(byScan({}, false), COPY);
    board.take({ ...byScan({}, false), seconds: 120 }, COPY);
    expect([board.now.unwell, board.now.told]).toEqual(['no connection to old:6379 for 20 s', TOLD]);
    board.take({ ...byScan(), seconds: 121 }, COPY);
    expect(board.now.unwell).toBeUndefined();
  });

  test('so is a target that takes no writes, once changes are applied', () => {
    const board = new StatusBoard(FACTS);
    const lanes = [lane({ attached: false })];
    board.take(fields({ phase: 'full', seconds: 1, lanes }), COPY);
    board.take(fields({ phase: 'full', seconds: 500, lanes }), COPY);
    expect(board.now.unwell).toBeUndefined();
    board.take(fields({ seconds: 501, lanes }), COPY);
    expect(board.now.unwell).toBeUndefined();
    board.take(fields({ seconds: 512, lanes }), COPY);
    expect(board.now.unwell).toBe('no connection to the target for the writes of old:6379 for 11 s');
    board.take(fields({ phase: 'settling', seconds: 513, lanes }), COPY);
    expect(board.now.unwell).toBeUndefined();
  });
});

test('a quarter of an hour is kept: the latest master, the bytes of all', () => {
  const board = new StatusBoard(FACTS);
  const lanes = [lane({ lagSeconds: 2, lagBytes: 10 }), lane({ name: 'b', lagSeconds: 1, lagBytes: 5 })];
  board.take(fields({ phase: 'full', keysPerSecond: 7, lanes }), COPY, 1);
  for (let at = 2; at <= MOST_SAMPLES; at++) board.take(fields({ lanes }), COPY, at);
  const { samples } = board.history;
  expect(samples[0]).toEqual({ at: 1, lagSeconds: 2, lagBytes: 15, opsPerSecond: undefined, keysPerSecond: 7 });
  board.take(fields({ lanes }), COPY, MOST_SAMPLES + 1);
  expect([samples.length, samples[0]]).toEqual([
    MOST_SAMPLES,
    { at: 2, lagSeconds: 2, lagBytes: 15, opsPerSecond: 41_000, keysPerSecond: undefined },
  ]);
});

test('the copy is kept after it, also a short one; a run that goes on has none', () => {
  const board = new StatusBoard(FACTS);
  const copyAfter = (phase: string, bytesRead: number) => {
    board.take(fields({ phase }), { ...COPY, bytesRead });
    return board.now.copy;
  };
  expect(copyAfter('changes', 0)).toBeUndefined();
  expect(copyAfter('full', 0)).toEqual({ ...COPY, bytesRead: 0 });
  expect(copyAfter('changes', 5)).toEqual({ ...COPY, bytesRead: 5 });
});

test('the last keys are named, of long names the beginning', () => {
  const board = new StatusBoard(FACTS);
  for (let i = 0; i < 30; i++) board.name({ db: 0, key: `key:${i}`, reason: 'no room' });
  board.name({ db: 1, key: 'x'.repeat(10_000), reason: 'y'.repeat(10_000) });
  const { lastProblems } = board.now;
  expect([lastProblems.length, lastProblems[1].key, lastProblems[19].key]).toEqual([20, 'key:29', 'key:11']);
  expect(lastProblems[0]).toMatchObject({ db: 1, key: `${'x'.repeat(500)}…`, reason: `${'y'.repeat(500)}…` });
  board.clear();
  expect(board.now.lastProblems).toEqual([]);
});
