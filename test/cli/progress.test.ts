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

  test('the bar comes late, moves below lines, and leaves nothing behind', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const err = Object.assign(new Collector(), { isTTY: true, columns: 100 });
    const progress = new BarProgress(err);
    progress.update(half);
    progress.line('early');
    vi.advanceTimersByTime(600);
    expect(err.text).toBe('early\n');
    vi.advanceTimersByTime(600);
    await vi.waitFor(() => expect(err.text).toContain('50%  [='));
    progress.line('warning');
    progress.stop();
    progress.stop();
    const writes = err.text.length;
    vi.advanceTimersByTime(5000);
    expect(err.text.length).toBe(writes);
    expect(err.text).toContain('\u001b[2Kwarning\n');
    expect(err.text.endsWith('\u001b[2K')).toBe(true);
    expect(err.text).not.toMatch(/\u001b\[\?/); // neither the cursor nor wrapping is switched off
  });

  test('the bar redraws at most about ten times a second', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const err = Object.assign(new Collector(), { isTTY: true, columns: 100 });
    const progress = new BarProgress(err);
    progress.update(half);
    vi.advanceTimersByTime(700);
    await vi.waitFor(() => expect(err.text).toContain('%'));
    for (let i = 0; i < 2300; i++) {
      progress.update({ ...half, bytesRead: i * 1e4 });
      vi.advanceTimersByTime(1);
    }
    progress.stop();
    expect(err.text.split('%').length).toBeLessThan(28);
  });
});
