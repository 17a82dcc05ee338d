import { describe, expect, test } from 'vitest';
import { Custody } from '../../src/redis/custody.js';

describe('custody', () => {
  const hour = 3_600_000;

  test('of the same process goes on', () => {
    const custody = new Custody('a');
    expect(custody.met({ runId: 'one', startedAt: Date.now() - hour })).toBe(false);
    custody.bare = true;
    expect(custody.met({ runId: 'one', startedAt: Date.now() - hour })).toBe(false);
    expect(custody.met({ runId: '', startedAt: 0 })).toBe(false);
  });

  test('of a process that was started since is lost', () => {
    const custody = new Custody('a');
    custody.met({ runId: 'one', startedAt: Date.now() - hour });
    expect(custody.met({ runId: 'two', startedAt: Date.now() + 1 })).toBe(true);
    expect(custody.met({ runId: 'two', startedAt: Date.now() + 1 })).toBe(false);
  });

  test('goes to a replica that was up all the while, where it confirmed everything', () => {
    const confirmed = new Custody('a');
    confirmed.met({ runId: 'one', startedAt: Date.now() - hour });
    expect(confirmed.met({ runId: 'two', startedAt: Date.now() - hour })).toBe(false);
    const bare = Custody.from({ name: 'a', runId: 'one', since: Date.now(), bare: true });
    expect(bare.met({ runId: 'two', startedAt: Date.now() - hour })).toBe(true);
    expect(Custody.from({ name: 'a', runId: 'one', since: 1, bare: true }).passed()).toBe(true);
  });
});
