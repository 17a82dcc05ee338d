import { afterEach, describe, expect, test, vi } from 'vitest';
import { BarProgress, barText } from '../../src/cli/progress-bar.js';
import { PlainProgress, progressParts } from '../../src/cli/progress.js';
import { Collector } from '../support/cli-support.js';

describe('progress', () => {
  afterEach(() => void vi.useRealTimers());
  const half = { bytesRead: 50e6, totalBytes: 100e6, keys: 1234 };

  test('says how far it is, or how much was read', () => {
    expect(progressParts(half, 2)).toEqual(['50%', '50.0 MB of 100 MB', '1,234 keys', '25.0 MB/s', '2 s left']);
    expect(progressParts({ ...half, totalBytes: undefined }, 2)).toEqual(['50.0 MB', '1,234 keys', '25.0 MB/s', '2 s']);
    expect(progressParts({ bytesRead: 0, totalBytes: 5, keys: 0 }, 0).at(-1)).toBe('starting');
  });

  test.each([200, 100, 80, 60, 40, 24, 10, 3, 0])('fits into %i columns', (width) => {
    const text = barText(progressParts(half, 2), 0.5, width);
    expect(text.length).toBeLessThanOrEqual(width);
    if (width >= 3) expect(text).toMatch(/^50%/);
    if (width >= 14) expect(text).toMatch(/2 s left$/);
    if (width >= 80) expect(text).toMatch(/^50% {2}\[=+ +\] {2}50.0 MB of 100 MB {2}1,234 keys {2}25.0 MB\/s {2}2 s left$/);
  });

  test('plain: a line every five seconds', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const err = new Collector();
    const progress = new PlainProgress(err);
    progress.update(half);
    vi.advanceTimersByTime(10_000);
    progress.stop();
    vi.advanceTimersByTime(10_000);
    expect(err.text).toBe(
      'rdbkit: 50%, 50.0 MB of 100 MB, 1,234 keys, 10.0 MB/s, 5 s left\nrdbkit: 50%, 50.0 MB of 100 MB, 1,234 keys, 5.00 MB/s, 10 s left\n',
    );
  });

  /** A terminal, and the bar on it. */
  function bar(): { err: Collector; progress: BarProgress } {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const err = Object.assign(new Collector(), { isTTY: true, columns: 100 });
    const progress = new BarProgress(err);
    progress.update(half);
    return { err, progress };
  }

  test('the bar comes late, moves below lines, and leaves no trace', () => {
    const { err, progress } = bar();
    progress.line('early');
    vi.advanceTimersByTime(600);
    expect(err.text).toBe('early\n');
    vi.advanceTimersByTime(600);
    expect(err.text).toContain('50%  [=');
    progress.line('warning');
    progress.stop();
    progress.stop();
    const writes = err.text.length;
    vi.advanceTimersByTime(5000);
    expect(err.text.length).toBe(writes);
    expect(err.text).toContain('\r\u001b[Kwarning\n\r50%  [=');
    expect(err.text.endsWith('\r\u001b[K')).toBe(true);
    // neither the cursor nor wrapping is switched off, and no place is remembered: the terminal may have scrolled
    expect(err.text).not.toMatch(/\u001b(\[\?|7|8)/);
  });

  test('the bar redraws at most about ten times a second', () => {
    const { err, progress } = bar();
    vi.advanceTimersByTime(700);
    for (let i = 0; i < 2300; i++) {
      progress.update({ ...half, bytesRead: i * 1e4 });
      vi.advanceTimersByTime(1);
    }
    progress.stop();
    expect(err.text.split('%').length).toBeLessThan(28);
  });

  test.each([
    ['before the bar', 100],
    ['with the bar on the screen', 1000],
  ])('nothing is drawn or written during a pause, and its time does not count: %s', async (_, before) => {
    const { err, progress } = bar();
    vi.advanceTimersByTime(before);
    await progress.pause(() => {
      const drawn = err.text;
      expect(drawn.endsWith('s left')).toBe(false);
      progress.line('a warning meanwhile');
      vi.advanceTimersByTime(60_000);
      expect(err.text).toBe(drawn);
      return Promise.resolve();
    });
    expect(err.text).toContain('a warning meanwhile\n');
    vi.advanceTimersByTime(1000);
    expect(err.text).toMatch(/ [12] s left/);
    expect(err.text).not.toMatch(/\d\d s left/);
    progress.stop();
  });

  test('plain lines wait for the end of a pause, too', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const err = new Collector();
    const progress = new PlainProgress(err);
    await progress.pause(() => Promise.resolve(vi.advanceTimersByTime(20_000)));
    expect(err.text).toBe('');
    vi.advanceTimersByTime(5000);
    progress.stop();
    expect(err.text).toBe('rdbkit: 0 B, 0 keys, 0 B/s, 5 s\n');
  });
});
