import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder } from '../support/cli-support.js';
import { BIN, collect, type Ended, shell } from '../support/processes.js';
import { TestServer } from '../support/redis-server.js';
import { until } from '../support/until.js';

const folder = new Folder();

/** `$R` is the program, `$F` the fixture, `$T` a folder for files. */
const run = (command: string): Promise<Ended> =>
  shell(`R() { "$NODE" "$RDBKIT" "$@"; }; F='${FIXTURE}'; T='${folder.path}'; ${command}`);

afterAll(() => folder.remove());

test('restore: rejects that cannot be written any more are told as that, and not as something to wait for', async () => {
  const server = await TestServer.start();
  try {
    const url = `redis://127.0.0.1:${server.client.options.port}`;
    const { code, err } = await run(`ulimit -f 8; R restore "$F" ${url} --db-map 0:99 --rejects "$T/rejects.jsonl" --quiet`);
    expect(code).toBe(4);
    expect(err).toMatch(
      /rdbkit: cannot write \S+rejects\.jsonl: the file became too large for its file system\. Make room, [^\n]* Every key that is counted as restored is on the target\. --on-conflict skip then keeps those keys\.\n$/,
    );
  } finally {
    await server.stop();
  }
});

test.skipIf(process.platform !== 'linux')('restore: rejects that no key can be added to end it before anything is deleted', async () => {
  const server = await TestServer.start();
  try {
    await server.client.set('old', '');
    const url = `redis://127.0.0.1:${server.client.options.port}`;
    for (const path of ['/dev/full', '/dev/null', '$T', '$T/none/x']) {
      const { code, err } = await run(`R restore "$F" ${url} --flush --yes --rejects "${path}" --quiet`);
      expect([path, code, err]).toEqual([
        path,
        4,
        expect.stringMatching(
          /^rdbkit: cannot write \S+: (it is not a regular file, which keys can be added to|it is a directory|its folder does not exist)\. Nothing was written to the target\.\n$/,
        ),
      ]);
    }
    expect(await server.client.keys('*')).toEqual(['old']);
  } finally {
    await server.stop();
  }
});

describe('restore as a process', () => {
  const restoring = async (server: TestServer, target?: string[]): Promise<ChildProcessWithoutNullStreams> => {
    const words = target ?? [`redis://default:s3cret@127.0.0.1:${server.client.options.port}`];
    const child = spawn(process.execPath, [BIN, 'restore', FIXTURE, ...words, '--max-keys-per-second', '50']);
    await until('keys are there', async () => (await server.client.dbsize()) > 0);
    return child;
  };
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  beforeEach(() => server.client.flushall());
  afterAll(() => server.stop());

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends it with a summary', async (signal, code) => {
    const child = await restoring(server);
    child.kill(signal);
    const ended = await collect(child);
    expect(ended.code === code || ended.signal === signal).toBe(true);
    expect(ended.err).toContain(`rdbkit: interrupted by ${signal}.`);
    const keyspace = await server.client.info('keyspace');
    const there = [...keyspace.matchAll(/keys=(\d+)/g)].reduce((sum, [, keys]) => sum + Number(keys), 0);
    expect(ended.err).toMatch(new RegExp(`rdbkit: ${there} keys restored; `));
    expect(there).toBeLessThan(250);
  });

  test.skipIf(process.platform !== 'linux')('ps does not show the password', async () => {
    const host = ['-h', '127.0.0.1', '-p', String(server.client.options.port)];
    for (const [target, title] of [
      [undefined, '***@127.0.0.1'],
      [[...host, '-a', 's3cret'], '-a ***'],
      [[...host, '-qas3cret'], '-qa***'],
      [[...host, '--pass=s3cret'], '--pass=***'],
    ] as const) {
      await server.client.flushall();
      const child = await restoring(server, target?.slice());
      const shown = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
      child.kill('SIGINT');
      const { err, out } = await collect(child);
      expect(shown).toContain(title);
      expect(`${shown}${err}${out}`).not.toContain('s3cret');
    }
  });

  test('on a terminal it asks before --flush, and Ctrl-C is an answer', async () => {
    await server.client.set('old', '');
    /** Types it `wait` milliseconds after the question. */
    const ask = async (type: string, wait = 0): Promise<Ended> => {
      const command = `"${process.execPath}" "${BIN}" restore "${FIXTURE}" redis://127.0.0.1:${server.client.options.port} --flush`;
      const child = spawn('script', ['-qec', command, '/dev/null']);
      let shown = '';
      child.stdout.on('data', (text: Buffer) => (shown += text.toString()));
      const ended = collect(child);
      await until('it asks', () => shown.includes('Type yes: ') || child.exitCode !== null);
      await delay(wait);
      expect(shown).not.toContain('\u001b'); // no bar over the question
      child.stdin.end(type);
      return ended;
    };
    expect((await ask('\u0003')).out).toMatch(/Type yes: (\^C)?\r\n(rdbkit: .*\r\n)*rdbkit: interrupted by SIGINT\.\r\n$/);
    expect((await ask('\u0004')).out).toMatch(/Type yes: (\^D[\b]*)?\r\nrdbkit: nothing was written\.\r\n$/);
    expect(await server.client.dbsize()).toBe(1);
    // longer than the bar waits: it must not be drawn over the question, nor leave something on the closing line
    const { out } = await ask('yes\n', 2000);
    const bar = /((\r[^\r\n\u001b]+\u001b\[K)+\r\u001b\[K)?/.source; // drawn where the restore takes long, and erased each time
    const lines = `(${bar}rdbkit: function libraries: .*\r\n)?${bar}rdbkit: 250 keys restored; .*\r\n$`;
    expect(out).toMatch(new RegExp(`Type yes: (yes\r\n)?${lines}`));
  });
});
