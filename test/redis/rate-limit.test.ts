import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RateLimit } from '../../src/redis/rate-limit.js';

/** Time as RateLimit sees it: it passes when a timer is set, by about as many milliseconds. */
const clock = vi.hoisted(() => ({ now: 0, jitter: 0, waited: 0, timers: 0 }));
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number) => {
    const passed = Math.max(0.1, ms + clock.jitter);
    clock.now += passed;
    clock.waited += passed;
    clock.timers++;
    return Promise.resolve();
  },
}));

describe('RateLimit', () => {
  beforeEach(() => {
    clock.now = 1000;
    vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
  });
  afterEach(() => vi.restoreAllMocks());

  /** Parts of a burst, and milliseconds that pass before it is asked whether to go on. */
  const steps = fc.array(fc.record({ keys: fc.double({ min: 0, max: 1, noNaN: true }), bytes: fc.double({ min: 0, max: 3, noNaN: true }), idle: fc.oneof(fc.constant(0), fc.nat({ max: 500 })) }), { minLength: 1, maxLength: 60 });
  const rate = fc.option(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 1e9 })), { nil: undefined });
  /** Milliseconds that the system lets a timer come later, or earlier. */
  const jitter = fc.double({ min: -1, max: 5, noNaN: true });

  test('never lets through more than the rate and one burst, in no span of time; nor waits longer than it must', async () => {
    await fc.assert(
      fc.asyncProperty(rate, rate, steps, jitter, async (keysPerSecond, bytesPerSecond, row, late) => {
        clock.jitter = late;
        clock.waited = clock.timers = 0;
        const rateLimit = new RateLimit({ keysPerSecond, bytesPerSecond });
        const spent: { at: number; keys: number; bytes: number }[] = [];
        for (const { bytes, idle, keys } of row) {
          clock.now += idle;
          await rateLimit.untilAllowed();
          const now = { at: clock.now, keys: Math.ceil(keys * Math.min(rateLimit.burst, 1e6)), bytes: Math.ceil(bytes * Math.min(rateLimit.burstBytes, 1e6)) };
          rateLimit.spend(now.keys, now.bytes);
          spent.push(now);
        }
        expect(rateLimit.limited).toBe(keysPerSecond !== undefined || bytesPerSecond !== undefined);
        for (const [what, limit] of [['keys', keysPerSecond], ['bytes', bytesPerSecond]] as const) {
          if (limit === undefined) continue;
          const burst = Math.max(...spent.map((one) => one[what]));
          const tolerance = limit * 0.001 + 1e-6 * limit; // a millisecond is not waited for
          for (let from = 0; from < spent.length; from++) {
            let sum = 0;
            for (let to = from; to < spent.length; to++) {
              sum += spent[to][what];
              expect(sum).toBeLessThanOrEqual((limit * (spent[to].at - spent[from].at)) / 1000 + burst + tolerance);
            }
          }
        }
        const needed = spent.reduce((sum, { bytes, keys }) => sum + keys / (keysPerSecond ?? Infinity) + bytes / (bytesPerSecond ?? Infinity), 0) * 1000;
        expect(clock.waited).toBeLessThanOrEqual(needed * (1 + 1e-9) + clock.timers * Math.max(0.1, late));
      }),
    );
  });
});
