import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Gathering } from '../../src/sync/target/gathering.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A master with so many bytes put, and so many without an answer. */
const master = (put: number, unanswered: number): { open: { size: number; commands: number }; bytes: number } => ({
  open: { size: put, commands: put === 0 ? 0 : 1 },
  bytes: unanswered,
});

function gathering(...masters: ReturnType<typeof master>[]): { gathering: Gathering; sends: () => number; piece: () => void } {
  let sends = 0;
  const made: Gathering = new Gathering(masters, () => {
    sends++;
    made.sent();
  });
  const piece = (): void => {
    made.beginPiece();
    made.endPiece();
  };
  return { gathering: made, sends: () => sends, piece };
}

describe('the writes of a piece', () => {
  test.each([
    ['are sent at once to a master that has answered everything', [master(10, 0)], 1],
    ['are sent at once if one of the masters that get some has', [master(10, 500), master(10, 0)], 1],
    ['wait where only a master that gets none has', [master(10, 500), master(0, 0)], 0],
    ['wait for a busy master', [master(10, 500)], 0],
    ['are sent to a busy master when there are enough', [master(128 << 10, 500)], 1],
    ['are none: the place in the stream is noted', [master(0, 500)], 1],
  ])('%s', (_, masters, expected) => {
    const { piece, sends } = gathering(...masters);
    piece();
    expect(sends()).toBe(expected);
  });

  test('that wait are sent once: when an answer comes, or something else is sent', () => {
    const { gathering: made, piece, sends } = gathering(master(10, 500));
    piece();
    made.flush();
    made.flush();
    vi.advanceTimersByTime(100);
    expect(sends()).toBe(1);
  });

  test('that wait are sent after a moment', () => {
    const { piece, sends } = gathering(master(10, 500));
    piece();
    vi.advanceTimersByTime(2);
    expect(sends()).toBe(0);
    vi.advanceTimersByTime(1);
    expect(sends()).toBe(1);
  });

  test('are not sent amid the next piece, not even by the timer', () => {
    const { gathering: made, piece, sends } = gathering(master(10, 500));
    piece();
    made.beginPiece();
    made.flush();
    vi.advanceTimersByTime(100);
    expect(sends()).toBe(0);
    made.endPiece();
    vi.advanceTimersByTime(3);
    expect(sends()).toBe(1);
  });

  test('are not sent after the end', () => {
    const { gathering: made, piece, sends } = gathering(master(10, 500));
    piece();
    made.close();
    vi.advanceTimersByTime(100);
    expect(sends()).toBe(0);
  });
});
