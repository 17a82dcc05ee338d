import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { report, restore, urlOf } from '../support/restore-support.js';
import { bytes, rdb, str } from '../support/support.js';

const cases = fileURLToPath(new URL('../../fixtures/cases/', import.meta.url));
const AOF = join(cases, 'old-style.aof');
const TAIL = 'AOF: 94 bytes of newer commands follow the RDB and are not read';

const folder = new Folder();
afterAll(() => folder.remove());

const key = bytes(0, str('a'), str('1'));
const joined = (...parts: (string | Uint8Array)[]): Buffer => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
const piped = (content: Uint8Array): { stdin: Readable } => ({ stdin: Readable.from([Buffer.from(content)]) });

describe(`an AOF restored to ${SERVER}`, async () => {
  const server = await TestServer.start();
  afterAll(() => server.stop());
  const { client } = server;
  const url = urlOf(server);
  const keys = (): Promise<number> => client.dbsize();

  beforeEach(async () => {
    await client.flushall();
    await client.set('there', 'before');
  });

  const all = ['--flush', '--yes'];

  test('nothing is written, and nothing deleted', async () => {
    for (const source of [AOF, folder.file('again.aof.gz', gzipSync(readFileSync(AOF)))]) {
      for (const more of [[], ['--dry-run']]) {
        const { code, err } = await restore([source, url, ...all, ...more]);
        expect([code, err]).toEqual([1, expect.stringContaining(TAIL)]);
        expect(err).toMatch(/\nrdbkit: nothing was written\.\n$/);
        expect(await keys()).toBe(1);
      }
    }
    expect(await report([AOF, url, ...all])).toMatchObject({ code: 1, declined: true, aofTails: [{ file: AOF, bytes: 94 }], plan: { aofTails: [{ file: AOF, bytes: 94 }] } });
  });

  test('also where no field of the file says that it is an AOF', async () => {
    const source = folder.file('joined.aof', joined(rdb('REDIS0009', [key]), '*1\r\n$4\r\nPING\r\n'));
    expect((await restore([source, url, ...all])).code).toBe(1);
    expect(await keys()).toBe(1);
  });

  test('--ignore-aof-tail restores the RDB', async () => {
    const { code, err } = await restore([AOF, url, ...all, '--ignore-aof-tail']);
    expect([code, await keys()]).toEqual([0, 506]);
    expect(err.split(TAIL)).toHaveLength(2);
  });

  test('from a pipe it is told at the end', async () => {
    const { code, err } = await restore(['-', url, ...all], piped(readFileSync(AOF)));
    expect([code, await keys()]).toEqual([1, 506]);
    expect(err).toContain(TAIL);
  });

  test('what is no RDB ends it before anything is deleted, unless others are to go on', async () => {
    const text = folder.file('no.rdb', 'hello, this is no RDB');
    const good = folder.file('good.rdb', rdb('REDIS0009', [key]));
    const aofFolder = folder.at('appendonlydir');
    mkdirSync(aofFolder);
    folder.file('appendonlydir/appendonly.aof.manifest', 'file appendonly.aof.2.base.rdb seq 2 type b\n');
    for (const [source, message] of [[text, 'NOT_RDB'], [aofFolder, 'got the folder of an AOF'], [join(aofFolder, 'appendonly.aof.manifest'), 'got the manifest of an AOF']]) {
      const { code, err } = await restore([good, source, url, ...all]);
      expect([code, err, await client.get('there')]).toEqual([3, expect.stringContaining(message), 'before']);
    }
    expect((await restore([good, text, url, ...all, '--keep-going'])).code).toBe(3);
    expect([await client.get('a'), await client.get('there')]).toEqual(['1', null]);
  });

  test('the base of a real AOF', async () => {
    await client.config('SET', 'appendonly', 'yes');
    const info = (): Promise<boolean> => client.info('persistence').then((text) => text.includes('aof_rewrite_in_progress:0') && text.includes('aof_enabled:1'));
    while (!(await info())) await new Promise((resolve) => setTimeout(resolve, 20));
    await client.set('later', '1');
    const [, dir] = (await client.config('GET', 'dir')) as [string, string];
    const aofs = join(dir, 'appendonlydir');
    const refused = await restore([aofs, url, '--on-conflict', 'replace']);
    expect([refused.code, refused.err]).toEqual([3, expect.stringContaining('got the folder of an AOF')]);
    const base = join(aofs, 'appendonly.aof.1.base.rdb');
    const { code, err } = await restore([base, url, '--on-conflict', 'replace']);
    expect([code, err]).toEqual([0, expect.stringMatching(/warning: .*this is the base of an AOF .* beside it: appendonly\.aof\.1\.incr\.aof \(\d+ bytes\)\n/)]);
    await client.config('SET', 'appendonly', 'no');
  });
});
