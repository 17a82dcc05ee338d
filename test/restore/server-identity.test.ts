import { describe, expect, test } from 'vitest';
import { ServerIdentity } from '../../src/restore/server-identity.js';

describe('identity of a server', () => {
  const hour = 3_600_000;

  test('of the same process goes on', () => {
    const identity = new ServerIdentity('a');
    expect(identity.met({ runId: 'one', startedAt: Date.now() - hour })).toBe(false);
    identity.bare = true;
    expect(identity.met({ runId: 'one', startedAt: Date.now() - hour })).toBe(false);
    expect(identity.met({ runId: '', startedAt: 0 })).toBe(false);
  });

  test('of a process that was started since is lost', () => {
    const identity = new ServerIdentity('a');
    identity.met({ runId: 'one', startedAt: Date.now() - hour });
    expect(identity.met({ runId: 'two', startedAt: Date.now() + 1 })).toBe(true);
    expect(identity.met({ runId: 'two', startedAt: Date.now() + 1 })).toBe(false);
  });

  test('goes to a replica that was up all the while, where it confirmed everything', () => {
    const confirmed = new ServerIdentity('a');
    confirmed.met({ runId: 'one', startedAt: Date.now() - hour });
    expect(confirmed.met({ runId: 'two', startedAt: Date.now() - hour })).toBe(false);
    const bare = ServerIdentity.from({ name: 'a', runId: 'one', since: Date.now(), bare: true });
    expect(bare.met({ runId: 'two', startedAt: Date.now() - hour })).toBe(true);
    expect(ServerIdentity.from({ name: 'a', runId: 'one', since: 1, bare: true }).passed()).toBe(true);
  });
});
