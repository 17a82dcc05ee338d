import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, type Result } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { type Lies, RespProxy } from '../support/resp-proxy.js';
import { expiry, portOf, restore, urlOf } from '../support/restore-support.js';
import { len, rdb, str } from '../support/support.js';

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** Of an expiry, on a busy machine. */
const SLACK = 5 * MINUTE;

interface Report {
  code: number | null;
  keysRestored: number;
  keysExpired: number;
  keysFiltered: number;
  keysRejected: number;
  plan: { warnings: string[]; target: { masters: { name: string; clockAhead?: number }[] } };
}

describe(`rdbkit restore to ${SERVER} where this machine's clock is wrong`, () => {
  const folder = new Folder();
  let server: TestServer;
  const proxies: RespProxy[] = [];

  beforeAll(async () => {
    server = await TestServer.start('--enable-debug-command', 'yes');
  });
  beforeEach(() => server.client.flushall());
  afterAll(async () => {
    await Promise.all([server.stop(), ...proxies.map((proxy) => proxy.stop())]);
    folder.remove();
  });

  /** With a clock that is so far ahead. */
  async function run(ahead: number, argv: readonly string[]): Promise<Result> {
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(at: number | string | Date = Real.now() + ahead) {
        super(at);
      }

      static override now(): number {
        return Real.now() + ahead;
      }
    } as DateConstructor;
    try {
      return await restore(argv);
    } finally {
      globalThis.Date = Real;
    }
  }

  async function report(ahead: number, argv: readonly string[]): Promise<Report> {
    const { code, err } = await run(ahead, [...argv, '--json']);
    return { ...(JSON.parse(err) as Report), code };
  }

  /** 100 keys that live for half an hour from now, and 7 that expired half an hour ago, all with their expiry behind the name. */
  function source(...more: Uint8Array[]): string {
    const now = Date.now();
    const key = (name: string, at: number): (number | Uint8Array)[] => [...expiry(at), 0, str(name), str('value')];
    const live = Array.from({ length: 100 }, (_, i) => key(`live:${i}`, now + 30 * MINUTE + i));
    const over = Array.from({ length: 7 }, (_, i) => key(`over:${i}`, now - 30 * MINUTE - i));
    return folder.file('source.rdb', rdb('REDIS0009', [...live.flat(), ...over.flat(), ...more]));
  }

  async function proxy(lies: Lies): Promise<RespProxy> {
    const made = await RespProxy.start(portOf(server), lies);
    proxies.push(made);
    return made;
  }

  const ttls = async (): Promise<number[]> => Promise.all((await server.client.keys('live:*')).map((key) => server.client.pttl(key)));

  async function expectAllLive(): Promise<void> {
    expect(await server.client.dbsize()).toBe(100);
    for (const ttl of await ttls()) expect(Math.abs(ttl - 30 * MINUTE)).toBeLessThan(SLACK);
  }

  /** Another way through the program, each. */
  const WAYS: [string, string[]][] = [
    ['runs of records', []],
    ['records one by one', ['--ttl-shift', '0s', '--db-map', '1:2']],
    ['filtered records', ['--prefix', 'live:', '--prefix', 'over:']],
    ['plain commands', ['--max-payload', '8']],
  ];

  describe.each([
    ['an hour ahead', HOUR],
    ['an hour slow', -HOUR],
  ])('%s', (_, ahead) => {
    test.each(WAYS)('%s: what lives by the clock of the server is restored, what does not is left out', async (_way, argv) => {
      const { code, keysExpired, keysRestored, plan } = await report(ahead, [source(), urlOf(server), ...argv]);
      expect([code, keysRestored, keysExpired]).toEqual([0, 100, 7]);
      await expectAllLive();
      const word = ahead > 0 ? 'behind' : 'ahead of';
      expect(plan.warnings).toEqual([expect.stringMatching(new RegExp(`^the clock of 127.0.0.1:${portOf(server)} is 3[56]\\d\\d s ${word} this machine's, and it decides which keys have expired$`))]);
      expect(Math.abs((plan.target.masters[0].clockAhead ?? 0) + ahead)).toBeLessThan(MINUTE);
    });

    test('--ttl live and expired, and a dry run', async () => {
      const file = source();
      expect(await report(ahead, [file, urlOf(server), '--ttl', 'live', '--dry-run'])).toMatchObject({ code: 0, keysRestored: 100, keysFiltered: 7, keysExpired: 0 });
      expect(await report(ahead, [file, urlOf(server), '--ttl', 'expired', '--ttl-shift', '1h'])).toMatchObject({ code: 0, keysRestored: 7, keysFiltered: 100, keysExpired: 0 });
      expect(await report(ahead, [file, urlOf(server), '--on-conflict', 'skip', '--dry-run'])).toMatchObject({ code: 0, keysRestored: 100, keysExpired: 7 });
      expect(await server.client.dbsize()).toBe(7);
    });

    test.each([
      ['TIME', {}],
      ['INFO', { info: [] }],
    ])('relative expiries, with the clock from %s', async (from, more: Lies) => {
      const info: Lies['info'] = [[/^redis_version:.*/m, 'redis_version:4.0.14'], ...(from === 'TIME' ? [[/^server_time_usec:.*\r\n/m, ''] as const] : [])];
      const { commands, url } = await proxy({ ...more, info });
      const big = [...expiry(Date.now() + 30 * MINUTE), 0, str('live:big'), Uint8Array.from([...len(2 << 20)]), new Uint8Array(2 << 20).fill(120)];
      const { code, keysExpired, keysRestored } = await report(ahead, [source(...(big as Uint8Array[])), url]);
      expect([code, keysRestored, keysExpired]).toEqual([0, 101, 7]);
      const left = await ttls();
      expect(left).toHaveLength(101);
      for (const ttl of left) expect(Math.abs(ttl - 30 * MINUTE)).toBeLessThan(SLACK);
      expect(commands.includes('TIME')).toBe(from === 'TIME');
    });

    test('an expiry in the file of rejects, from a relative one', async () => {
      const { url } = await proxy({ info: [[/^redis_version:.*/m, 'redis_version:4.0.14']] });
      const file = source();
      const rejects = folder.at('rejects.jsonl');
      const { code, keysRejected } = await report(ahead, [file, file, url, '--rejects', rejects]);
      expect([code, keysRejected]).toEqual([1, 100]);
      const { expireAt } = JSON.parse(readFileSync(rejects, 'utf8').split('\n')[0]) as { expireAt: number };
      expect(Math.abs(expireAt - Date.now() - 30 * MINUTE)).toBeLessThan(SLACK);
    });
  });

  test.each(['', `server_time_usec:${'9'.repeat(400)}\r\n`])('a server that tells no time: this machine decides, and the plan says so: %j', async (told) => {
    const { url } = await proxy({ refused: ['TIME'], info: [[/^server_time_usec:.*\r\n/m, told]] });
    const { code, err } = await run(HOUR, [source(), url]);
    expect(code).toBe(0);
    expect(err).toContain(`rdbkit: warning: ${url.slice(8)} does not tell the time (INFO, TIME): this machine's clock decides which keys have expired.\n`);
    expect(err).toMatch(/^rdbkit: 0 keys restored, 107 left out as expired; /m);
  });

  test('clocks that agree are not spoken of', async () => {
    const { err } = await run(0, [source(), urlOf(server)]);
    expect(err).not.toContain('clock');
    await expectAllLive();
  });

  test('in a cluster, the owner of a key decides', async () => {
    const cluster = await TestCluster.start();
    try {
      const masters = await cluster.masters();
      const slots = (await masters[0].client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      const aheads = [-HOUR, 0, HOUR];
      const fronts = await Promise.all(masters.map(({ port }, i) => RespProxy.start(port, { info: [[/^server_time_usec:.*\r\n/m, '']], ahead: aheads[i] })));
      proxies.push(...fronts);
      const nat = masters.flatMap(({ name }, i) => ['--nat-map', `${name}=${fronts[i].url.slice(8)}`]);
      const file = source();
      const { code, keysExpired, keysRestored, plan } = await report(0, [file, fronts[0].url, ...nat]);
      const owner = async (key: string): Promise<number> => {
        const slot = (await masters[0].client.call('CLUSTER', 'KEYSLOT', key)) as number;
        const port = slots.find(([from, to]) => from <= slot && slot <= to)?.[2][1];
        return masters.findIndex((master) => master.port === port);
      };
      const names = [...Array.from({ length: 100 }, (_, i) => `live:${i}`), ...Array.from({ length: 7 }, (_, i) => `over:${i}`)];
      let sent = 0;
      for (const name of names) if ((name.startsWith('live') ? 30 : -30) * MINUTE > aheads[await owner(name)]) sent++;
      expect(sent).toBeGreaterThan(20);
      expect(sent).toBeLessThan(100);
      expect([code, keysRestored, keysExpired]).toEqual([0, sent, names.length - sent]);
      expect(plan.warnings).toEqual([
        expect.stringMatching(new RegExp(`^the clock of ${fronts[0].url.slice(8)} is 3[56]\\d\\d s behind this machine's`)),
        expect.stringMatching(new RegExp(`^the clock of ${fronts[2].url.slice(8)} is 3[56]\\d\\d s ahead of this machine's`)),
      ]);
    } finally {
      await cluster.stop();
    }
  }, 90_000);
});
