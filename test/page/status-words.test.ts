import { describe, expect, test } from 'vitest';
import { adviceOf, late, trendOf, verdictOf } from '../../src/page/status-words.js';
import { StatusBoard } from '../../src/status/board.js';
import type { CopyFields, Sample, StatusFacts, StatusFields } from '../../src/status/fields.js';
import { byScan, COPY, FACTS, fields, lane } from '../support/status-facts.js';

interface World {
  readonly facts?: Partial<StatusFacts>;
  readonly copy?: CopyFields;
  readonly samples?: readonly Sample[];
}

/** The sentence and the advice after these seconds. */
function said(all: readonly StatusFields[], { copy = COPY, facts, samples = [] }: World = {}) {
  const board = new StatusBoard({ ...FACTS, ...facts });
  for (const one of all) board.take(one, copy);
  const plain = (text: string): string => text.replaceAll('\u00a0', ' ');
  const { text, tone } = verdictOf(board.now, samples);
  return { text: plain(text), tone, advice: adviceOf(board.now, samples).map(({ text }) => plain(text)) };
}

const sentence = (some: Partial<StatusFields> = {}, world: World = {}): string => said([fields(some)], world).text;

/** Half a minute in which the lag changes by this many bytes a second. */
const samples = (perSecond: number): Sample[] =>
  Array.from({ length: 31 }, (_, i) => ({
    ...{ at: i * 1000, lagSeconds: 12, lagBytes: 1e6 + i * perSecond, opsPerSecond: 5, keysPerSecond: undefined },
  }));

describe('the sentence', () => {
  test('connecting', () => {
    expect(said([])).toEqual({ text: 'Connecting to redis://old:6379 and redis://new:6379.', tone: 'busy', advice: [] });
  });

  test('the full copy', () => {
    const full = { phase: 'full', seconds: 366, keysPerSecond: 41_234 };
    expect(sentence(full)).toBe('Copying: 61 %, 7.6 million keys so far, about 3.9 min left.');
    expect(sentence(full, { copy: { keys: 1, bytesRead: 0, totalBytes: 9 } })).toBe('Copying: 0 %, 1 key so far.');
    expect(sentence(full, { copy: { keys: 5, bytesRead: 9, totalBytes: 9 } })).toBe('Copying: 100 %, 5 keys so far.');
    expect(sentence(full, { copy: { keys: 5, bytesRead: 9 } })).toBe('Copying: 5 keys so far, 41,000 a second.');
  });

  test('changes', () => {
    expect(sentence()).toBe('0.02 s late: 41,000 writes a second are applied.');
    expect(sentence({ opsPerSecond: 1 })).toBe('0.02 s late: 1 write a second is applied.');
    expect(sentence({ lanes: [lane({ lagSeconds: 0.000016 })] })).toBe('Less than 0.01 s late: 41,000 writes a second are applied.');
    expect(sentence({ opsPerSecond: 0 })).toBe('0.02 s late: no writes are applied.');
    expect(sentence({ opsPerSecond: 0, lanes: [lane({ lagBytes: 0, lagSeconds: 0 })] })).toBe(
      'The target has every write, and none come at the moment.',
    );
  });

  test('keys that the source tells', () => {
    expect(sentence(byScan())).toBe('1,200 keys were told and are fetched again; the oldest 0.80 s ago.');
    expect(said([byScan({ pending: 1, lagSeconds: 12 })])).toMatchObject({
      ...{ text: '1 key was told and is fetched again; the oldest 12.0 s ago.', tone: 'warn' },
    });
    expect(said([byScan({ pending: 0, lagSeconds: 0 })])).toMatchObject({
      ...{ text: 'The target has every key that was told, and none is pending.', tone: 'good' },
      advice: [expect.stringContaining('--until caught-up --pause-source 30s. It begins with another scan')],
    });
    expect(sentence({ ...byScan(), phase: 'settling' })).toMatch(/^The last ones: 1,200 keys were told/);
    const lost = said([byScan({}, false), { ...byScan({}, false), seconds: 120 }]);
    expect([lost.text, lost.advice[0]]).toEqual([
      'No connection to old:6379 for 20 s.',
      expect.stringContaining('all keys are read again'),
    ]);
  });

  test('with keys that could not be brought over', () => {
    const wrong = { problems: 2 };
    expect(said([fields(wrong)])).toMatchObject({
      ...{ text: '0.02 s late: 41,000 writes a second are applied; 2 keys could not be brought over.', tone: 'warn' },
    });
    expect(said([fields({ phase: 'full', seconds: 366, problems: 1 })])).toMatchObject({
      ...{ text: 'Copying: 61 %, 7.6 million keys so far, about 3.9 min left; 1 key could not be brought over.', tone: 'warn' },
    });
  });

  test('late: whether it catches up', () => {
    const now = [fields({ lanes: [lane({ lagSeconds: 12, lagBytes: 1.6e6 }), lane({ name: 'b', lagBytes: 0 })] })];
    expect(said(now)).toMatchObject({ text: '12.0 s late: 41,000 writes a second are applied.', tone: 'warn', advice: [] });
    expect(said(now, { samples: samples(-20_000) })).toMatchObject({
      ...{ text: '12.0 s late, catching up in about 1.3 min: 41,000 writes a second are applied.', tone: 'busy', advice: [] },
    });
    expect(said(now, { samples: samples(20_000) })).toEqual({
      ...{ text: '12.0 s late, and not catching up: 41,000 writes a second are applied.', tone: 'warn' },
      advice: [expect.stringMatching(/^The target takes writes more slowly than the source makes them\. /) as string],
    });
  });

  test('no connection to a master', () => {
    const lost = (seconds: number) =>
      fields({ seconds, lanes: [lane({ connected: false }), lane({ name: 'b', connected: seconds < 20 })] });
    expect(said([lost(10), lost(13)])).toEqual({ text: 'No connection to old:6379 for 3 s.', tone: 'warn', advice: [] });
    expect(said([lost(10), lost(22)])).toEqual({
      ...{ text: 'No connection to 2 of 2 masters for 12 s.', tone: 'bad' },
      advice: [expect.stringMatching(/^See whether 2 of 2 masters can be reached from here/) as string],
    });
  });

  test('no connection to the target', () => {
    const detached = (seconds: number) => fields({ seconds, lanes: [lane({ attached: false })] });
    expect(said([detached(10), detached(13)])).toEqual({ text: 'Connecting to the target.', tone: 'busy', advice: [] });
    expect(said([detached(10), detached(80)])).toEqual({
      ...{ text: 'No connection to the target for 1.2 min.', tone: 'bad' },
      advice: [expect.stringMatching(/^See whether the target can be reached from here/) as string],
    });
  });

  test('the end', () => {
    expect(sentence({ phase: 'settling' })).toBe('Nothing is written any more: keys of the target get their expiries.');
  });
});

describe('what to do next', () => {
  const advice = (some: Partial<StatusFields>, facts: Partial<StatusFacts> = {}): string[] => said([fields(some)], { facts }).advice;

  test('by how it ends', () => {
    expect(advice({})).toEqual([expect.stringMatching(/^To switch over: stop the writers, /)]);
    expect(advice({}, { until: 'caught-up' })).toEqual([expect.stringMatching(/^It ends by itself, with exit code 0/)]);
    expect(advice({ phase: 'full' }, { until: 'copied' })).toEqual(['It ends when the copy is complete.']);
    expect(advice({ phase: 'full' })).toEqual(['Writes that come meanwhile are kept, 200 B so far, and applied after the copy.']);
  });

  test('what is wrong comes first', () => {
    expect(advice({ problems: 1200, lanes: [lane({ lagBytes: 17e9, spool: { memory: 0, disk: 18e9 } })] })).toEqual([
      expect.stringMatching(/^1,200 keys could not be brought over: each is named on standard error\./),
      expect.stringMatching(/^The spool is 85 % full\. /),
      expect.stringMatching(/^To switch over/),
    ]);
  });
});

test('lag as text', () => {
  expect([0, 0.004, 0.999, 1.25, 59.9, 90, 7200].map(late).map((text) => text.replaceAll('\u00a0', ' '))).toEqual([
    ...['0 s', '< 0.01 s', '1.00 s', '1.3 s', '59.9 s', '1.5 min', '2 h'],
  ]);
});

test('a trend needs ten seconds', () => {
  expect(trendOf([])).toBeUndefined();
  expect(trendOf(samples(5).slice(0, 10))).toBeUndefined();
  expect(trendOf(samples(5).slice(0, 11))).toBe(5);
});
