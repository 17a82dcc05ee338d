import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { urlOf } from '../support/restore-support.js';

const folder = new Folder();
const servers: TestServer[] = [];
afterAll(async () => {
  folder.remove();
  for (const server of servers) await server.stop();
});

async function start(): Promise<TestServer> {
  const server = await TestServer.start('--repl-diskless-sync-delay', '0');
  servers.push(server);
  return server;
}

const KEYS = 20_000;

interface Checkpoint {
  readonly finished: boolean;
  readonly sources: readonly { readonly position?: string }[];
}

describe('restore --checkpoint from a server', () => {
  test('goes on from the cursor of a scan', async () => {
    const [source, target] = [await start(), await start()];
    const all = source.client.pipeline();
    for (let i = 0; i < KEYS; i++) all.set(`key:${i}`, `value ${i}`);
    await all.exec();
    const checkpoint = folder.at('scan.json');
    const argv = ['restore', urlOf(source), urlOf(target), '--via', 'scan', '--checkpoint', checkpoint];
    const stop = new AbortController();
    const watch = setInterval(() => {
      const text = existsSync(checkpoint) ? readFileSync(checkpoint, 'utf8') : '';
      if (/"position": "\[\\"\w+\\",0,\\"[1-9]/.test(text)) stop.abort();
    }, 20);
    const first = await rdbkit([...argv, '--max-keys-per-second', '4000'], { signal: stop.signal });
    clearInterval(watch);
    expect(first.code).toBe(130);
    const before = JSON.parse(readFileSync(checkpoint, 'utf8')) as Checkpoint;
    expect(before.finished).toBe(false);
    const done = await target.client.dbsize();
    expect(done).toBeLessThan(KEYS);

    const scans = async (): Promise<number> => Number(/cmdstat_scan:calls=(\d+)/.exec(await source.client.info('commandstats'))?.[1] ?? 0);
    await source.client.config('RESETSTAT');
    const { code, err } = await rdbkit(argv);
    expect(err).toMatch(/going on from .*scan\.json: [\d,]+ keys are done; the scan goes on from a cursor a little before that/);
    expect(code).toBe(0);
    expect(await target.client.dbsize()).toBe(KEYS);
    const dumps = Number(/cmdstat_dump:calls=(\d+)/.exec(await source.client.info('commandstats'))?.[1] ?? 0);
    expect(dumps).toBeLessThan(KEYS); // not from the beginning
    expect(await scans()).toBeGreaterThan(0);
    expect((await rdbkit(argv)).err).toContain('this restore is finished');
  });

  test('needs a scan', async () => {
    const [source, target] = [await start(), await start()];
    await source.client.set('key', 'value');
    const { code, err } = await rdbkit(['restore', urlOf(source), urlOf(target), '--checkpoint', folder.at('replication.json')]);
    expect(code).toBe(2);
    expect(err).toContain('is read by replication, which gives another snapshot each time: read it with --via scan');
    expect(await target.client.dbsize()).toBe(0);
  });

  test('does not take a position that is none', async () => {
    const [source, target] = [await start(), await start()];
    await source.client.set('key', 'value');
    const checkpoint = folder.at('wrong.json');
    const argv = ['restore', urlOf(source), urlOf(target), '--via', 'scan', '--checkpoint', checkpoint];
    expect((await rdbkit(argv)).code).toBe(0);
    const written = JSON.parse(readFileSync(checkpoint, 'utf8')) as Checkpoint;
    const sources = written.sources.map((source) => ({ ...source, position: '[1,0,"7"]' }));
    writeFileSync(checkpoint, JSON.stringify({ ...written, sources, finished: false }));
    const { code, err } = await rdbkit(argv);
    expect([code, err]).toEqual([2, expect.stringContaining('it is not a restore checkpoint')]);
  });
});
