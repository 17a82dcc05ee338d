import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { FakeServer, OK, USUAL } from '../support/fake-server.js';
import { RedisNode } from '../support/redis-node.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { type Report, report, restore, strings, urlOf } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const row = (name: string, keys: number, value = 'new'): Record<string, string> => Object.fromEntries(Array.from({ length: keys }, (_, i) => [`${name}:${i}`, value]));
const many = folder.file('many.rdb', strings(row('k', 500)));
const LARGE = 'x'.repeat(2 << 20);
const mixed = folder.file('mixed.rdb', strings({ ...row('k', 50), large: LARGE, '1:other': '1' }));

/** Keys that a summary says are there by it. */
const written = ({ keysReplaced = 0, keysRestored = 0 }: Partial<Report>): number => keysRestored + keysReplaced;

describe(`one command refused by ${SERVER}`, () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await TestServer.start('--enable-debug-command', 'yes');
  });
  beforeEach(() => server.client.flushall());
  afterAll(() => server.stop());

  const without = async (...rules: string[]): Promise<string> => {
    await server.client.call('ACL', 'SETUSER', 'less', 'reset', 'on', '>s3cret', '~*', '+@all', ...rules);
    return urlOf(server).replace('://', '://less:s3cret@');
  };

  /** Keys that have the new value. */
  async function there(): Promise<number> {
    let keys = 0;
    for (const db of [0, 1]) {
      await server.client.select(db);
      for (const key of await server.client.keys('*')) if (!key.startsWith('old') && (await server.client.get(key)) !== 'before') keys++;
    }
    await server.client.select(0);
    return keys;
  }

  test('EXISTS: everything is restored, and it is said what is not known', async () => {
    await server.client.mset('k:1', 'before', 'old:1', 'before');
    const url = await without('-exists');
    const { code, err } = await restore([many, url, '--on-conflict', 'replace']);
    expect(code).toBe(0);
    expect(err).toMatch(/warning: 127\.0\.0\.1:\d+ refuses EXISTS \(NOPERM .*'exists'.*\): the keys were written, but it is unknown how many replaced another value\.\n/);
    expect(err).toContain('rdbkit: 500 keys restored, 500 of which may have replaced another value; ');
    const object = await report([many, url, '--on-conflict', 'replace']);
    expect(object).toMatchObject({ code: 0, keysRestored: 500, keysReplaced: 0, keysUncounted: 500, commandsRefused: [{ command: 'EXISTS' }], errors: [] });
    expect(await there()).toBe(500);
  });

  test.each([
    ...['exists', 'del', 'rename', 'renamenx', 'select', 'wait', 'ping', 'dump', 'strlen', 'pexpireat', 'append', 'set'].flatMap((command) =>
      [[], ['--max-payload', '1mb']].flatMap((options) => ['skip', 'replace'].map((conflict) => [command, conflict, ...options])),
    ),
  ])('-%s, --on-conflict %s %s %s: the summary is what is there', async (command, conflict, ...options) => {
    await server.client.mset(conflict === 'replace' ? { 'k:1': 'before', large: 'before' } : { 'old:1': 'before' });
    const url = await without(`-${command}`);
    const object = await report([mixed, url, '--on-conflict', conflict, '--retry-for', '1s', ...options]);
    expect([command, written(object)]).toEqual([command, await there()]);
    const left = (await server.client.keys('rdbkit:*')).length;
    expect([object.code, left]).toEqual([written(object) === 52 ? 0 : command === 'select' ? 1 : 4, 0]); // without SELECT, only database 0
  });

  test('keys of the pattern only: what was written before it ended is counted, with EXISTS and without', async () => {
    for (const rules of [['resetkeys', '~k:*'], ['resetkeys', '~k:*', '-exists']]) {
      for (const seed of [{}, { 'k:1': 'before' }]) {
        await server.client.flushall();
        await server.client.mset({ 'old:1': 'before', ...seed });
        const some = folder.file('some.rdb', strings({ ...row('k', 300), forbidden: 'x', ...row('k:more', 300) }));
        const object = await report([some, await without(...rules), '--on-conflict', 'replace']);
        expect(object).toMatchObject({ code: 4, keysUnanswered: 0 });
        expect([rules, written(object)]).toEqual([rules, await there()]);
        expect(object.errors[0].message).toContain('NOPERM');
      }
    }
  });
});

describe('replies of which some never come', () => {
  const INFO = { redis_version: '7.0.15', run_id: 'now', uptime_in_seconds: '0' };

  test('a batch that a refusal ends: what was answered counts, what was not is told', async () => {
    const start = (): Promise<FakeServer> => FakeServer.start(INFO, ([name], count) => (name !== 'RESTORE' ? USUAL : count === 50 ? '-OOM command not allowed\r\n' : count > 120 ? undefined : OK));
    const servers = [await start(), await start()];
    try {
      const [object, { err }] = await Promise.all([report([many, servers[0].url]), restore([many, servers[1].url])]);
      expect(object).toMatchObject({ code: 4, keysRestored: 119, keysUnanswered: 380 });
      expect(err).toContain('rdbkit: warning: 380 keys sent but not answered: they may be on the target, too.\n');
      expect(err).toContain('rdbkit: 119 keys restored; ');
    } finally {
      for (const server of servers) await server.stop();
    }
  });

  test('a connection that ends in the middle of a batch, and a server that does not come back', async () => {
    const server = await FakeServer.start(INFO, ([name], count) => {
      if (name !== 'RESTORE' || count < 100) return USUAL;
      if (count === 100) queueMicrotask(() => server.leave());
      return count === 100 ? OK : undefined;
    });
    try {
      const object = await report([many, server.url, '--retry-for', '300ms']);
      expect(object).toMatchObject({ code: 4, keysRestored: 100, keysUnanswered: 400, errors: [{ code: 'LOST' }] });
      const place = `127\\.0\\.0\\.1:${server.port}`;
      expect(object.errors[0].message).toMatch(new RegExp(`^${place}: given up after 0 s; the last error was: ${place}: connect ECONNREFUSED ${place}; the connection was lost at key "k:\\d+" \\(\\d+ bytes\\)$`));
    } finally {
      await server.stop();
    }
  });
});

describe('a server before 3.0, whose RESTORE does not replace', () => {
  test('DEL that is refused is the reason, and other keys are restored', async () => {
    const node = await RedisNode.start('--rename-command', 'DEL', '""');
    try {
      await node.client.set('k:7', 'before');
      const object = await report([many, node.url, '--on-conflict', 'replace', '--target-version', '2.8']);
      expect(object.code).toBe(4);
      expect(object.errors[0].message).toMatch(/unknown command.*DEL/i);
      expect(written(object)).toBe((await node.client.dbsize()) - 1);
    } finally {
      await node.stop();
    }
  });
});
