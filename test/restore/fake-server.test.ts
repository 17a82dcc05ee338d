import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { type Answer, FakeServer, OK, USUAL } from '../support/fake-server.js';
import { expiry, report, restore, strings } from '../support/restore-support.js';
import { rdb, str } from '../support/support.js';

const folder = new Folder();
let server: FakeServer;
afterEach(() => server.stop());
afterAll(() => folder.remove());

const abc = folder.file('abc.rdb', strings({ a: '1', b: '2', c: '3' }));
const REDIS_7 = { redis_version: '7.0.15' };

describe('servers before 5.0', () => {
  const at = Date.now() + 1_000_000_000;
  const source = folder.file(
    'ttl.rdb',
    rdb('REDIS0009', [...expiry(at), 0, str('a'), str('1'), 0, str('b'), str('2'), 0xf8, 9, 0, str('c'), str('3')]),
  );
  const ttls = (): number[] => server.commands.filter(([name]) => name === 'RESTORE').map(([, , ttl]) => Number(ttl));

  test('4.0.14: relative expiries, REPLACE, no ABSTTL, no IDLETIME', async () => {
    server = await FakeServer.start({ redis_version: '4.0.14', db0: 'keys=1,expires=0' });
    const { code, keysRestored } = await report([source, server.url, '--on-conflict', 'replace']);
    expect([code, keysRestored]).toEqual([0, 3]);
    const [ttl, ...none] = ttls();
    expect(none).toEqual([0, 0]);
    expect(at - Date.now() - ttl).toBeLessThan(0);
    expect(at - Date.now() - ttl).toBeGreaterThan(-5000);
    expect(server.sent('RESTORE', 'EXISTS', 'DEL')).toEqual([
      'EXISTS a',
      `RESTORE a ${ttl} REPLACE`,
      'EXISTS b',
      'RESTORE b 0 REPLACE',
      'EXISTS c',
      'RESTORE c 0 REPLACE',
    ]);
  });

  test('2.8.24: DEL stands in for REPLACE', async () => {
    server = await FakeServer.start({ redis_version: '2.8.24' }, ([name, key]) => (name === 'DEL' && key === 'b' ? ':1\r\n' : USUAL));
    const { code, keysReplaced, keysRestored } = await report([source, server.url, '--on-conflict', 'replace']);
    expect([code, keysRestored, keysReplaced]).toEqual([0, 2, 1]);
    const [ttl] = ttls();
    expect(server.sent('RESTORE', 'EXISTS', 'DEL')).toEqual(['DEL a', `RESTORE a ${ttl}`, 'DEL b', 'RESTORE b 0', 'DEL c', 'RESTORE c 0']);
    const [, , , payload] = server.commands.find(([name]) => name === 'RESTORE') ?? [];
    expect(Buffer.from(payload, 'latin1').readUInt16LE(payload.length - 10)).toBe(6);
  });

  test('a relative expiry gets shorter while it is tried again', async () => {
    let refusals = 3;
    server = await FakeServer.start({ redis_version: '4.0.14' }, ([name, key]) =>
      name === 'RESTORE' && key === 'a' && refusals-- > 0 ? '-LOADING Redis is loading the dataset in memory\r\n' : USUAL,
    );
    expect(await report([source, server.url])).toMatchObject({ code: 0, keysRestored: 3 });
    const of = server.commands.filter(([name, key]) => name === 'RESTORE' && key === 'a').map(([, , ttl]) => Number(ttl));
    expect(of).toHaveLength(4);
    for (let i = 1; i < of.length; i++) expect(of[i]).toBeLessThan(of[i - 1]);
  });
});

describe('what a server may answer for a while', () => {
  test.each([
    ['-LOADING Redis is loading the dataset in memory\r\n', 1],
    ['-BUSY Redis is busy running a script\r\n', 1],
    ['-MASTERDOWN Link with MASTER is down\r\n', 1],
    ["-READONLY You can't write against a read only replica.\r\n", 2],
    ['-TRYAGAIN Multiple keys request during rehashing of slot\r\n', 1],
    ['-CLUSTERDOWN The cluster is down\r\n', 1],
    ['-NOREPLICAS Not enough good replicas to write.\r\n', 1],
  ])('%j', async (answer, least) => {
    server = await FakeServer.start(REDIS_7, ([name], count) =>
      name === 'RESTORE' && (count === 2 || (count > 3 && count < 6)) ? answer : USUAL,
    );
    const { code, keysRejected, keysRestored } = await report([abc, server.url, '--retry-for', '5s']);
    expect([code, keysRestored, keysRejected]).toEqual([0, 3, 0]);
    expect(server.connections).toBeGreaterThan(least);
  });

  test.each(["-READONLY You can't write against a read only replica.\r\n", '-LOADING Redis is loading the dataset in memory\r\n'])(
    '%j to the last of a batch: every key counts once',
    async (answer) => {
      server = await FakeServer.start(REDIS_7, ([name, key], count) =>
        name === 'RESTORE' && key === 'c' && count === 3 ? answer : name === 'DUMP' ? '$-1\r\n' : USUAL,
      );
      const { code, counts, keysRestored } = await report([abc, server.url, '--retry-for', '5s']);
      expect([code, keysRestored]).toEqual([0, 3]);
      expect(counts).toMatchObject([{ db: 0, restored: 3 }]);
    },
  );

  test('without end it is given up', async () => {
    server = await FakeServer.start(REDIS_7, ([name]) =>
      name === 'RESTORE' ? '-LOADING Redis is loading the dataset in memory\r\n' : USUAL,
    );
    const { code, err } = await restore([abc, server.url, '--retry-for', '600ms']);
    expect(code).toBe(4);
    expect(err).toMatch(
      /rdbkit: LOST: 127\.0\.0\.1:\d+: given up after [01] s; the last error was: LOADING Redis is loading the dataset in memory\. /,
    );
    expect(err).toMatch(/rdbkit: 0 keys restored; /);
  });

  test.each([
    ['-OOM command not allowed when used memory > \'maxmemory\'.\r\n', 'Give it more memory'],
    ['-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.\r\n', 'cannot save its data'],
    ["-NOPERM this user has no permissions to run the 'restore' command\r\n", 'The user lacks a permission'],
    ['-NOAUTH Authentication required.\r\n', 'A password is needed'],
    ["-ERR unknown command 'RESTORE'\r\n", 'Everything sent before is restored'],
  ])('in the middle, %j is the end', async (answer, hint) => {
    server = await FakeServer.start(REDIS_7, ([name, key]) => (name === 'RESTORE' && key === 'b' ? answer : USUAL));
    const { code, errors, keysRestored } = await report([abc, server.url]);
    expect([code, keysRestored]).toEqual([4, 2]);
    expect(errors).toMatchObject([
      { code: 'REFUSED', at: 'db 0, key "b"', got: answer.slice(1, -2), hint: expect.stringContaining(hint) as string },
    ]);
  });

  test('at the first key, nothing is said to be restored, and the command and the key are named', async () => {
    for (const [answer, hint] of [
      [
        "NOPERM this user has no permissions to run the 'restore' command",
        'at db 0, key "a". The user lacks a permission, RESTORE: ACL SETUSER NAME +restore gives it. ',
      ],
      [
        'NOPERM this user has no permissions to access one of the keys used as arguments',
        'at db 0, key "a". The user lacks a permission, to write this key: ACL SETUSER NAME ~PATTERN gives it. ',
      ],
      ["ERR unknown command 'RESTORE'", 'at db 0, key "a". No key was restored.'],
    ]) {
      server = await FakeServer.start(REDIS_7, ([name]) => (name === 'RESTORE' ? `-${answer}\r\n` : USUAL));
      const { code, err } = await restore([abc, server.url]);
      expect([code, err]).toEqual([4, expect.stringContaining(`${answer}, ${hint}`)]);
      expect(err).not.toMatch(/Everything|FLUSHALL|RENAMENX/);
      await server.stop();
    }
  });

  test('a server that is lost is named once', async () => {
    server = await FakeServer.start(REDIS_7, ([name]) => (name === 'RESTORE' ? undefined : USUAL));
    const { err } = await restore([abc, server.url, '--retry-for', '300ms']);
    const lost = /^rdbkit: LOST: .*$/m.exec(err)?.[0] ?? '';
    expect(lost.split('127.0.0.1')).toHaveLength(2);
    expect(lost).toContain('No key was restored.');
  });

  test.each(['-ERR Bad data format\r\n', '-ERR DUMP payload version or checksum are wrong\r\n', '-ERR \u001b[2J\r\n'])(
    '%j is about one key',
    async (answer) => {
      server = await FakeServer.start(REDIS_7, ([name, key]) => (name === 'RESTORE' && key === 'b' ? answer : USUAL));
      const { code, err } = await restore([abc, server.url]);
      expect(code).toBe(1);
      expect(err).toMatch(/NOT_RESTORED: .*abc\.rdb, db 0, key "b": 127\.0\.0\.1:\d+ answered: ERR /);
      expect(err).not.toContain('\u001b');
      expect(err).toMatch(/rdbkit: 2 keys restored, 1 rejected; /);
    },
  );
});

describe('what no server answers', () => {
  const once = (answer: Answer): ((command: readonly string[], count: number) => Answer | typeof USUAL) => {
    let done = false;
    return ([name, key]) => {
      if (name === 'DUMP') return '$-1\r\n';
      if (name !== 'RESTORE' || key !== 'b' || done) return USUAL;
      done = true;
      return answer;
    };
  };

  test.each<[string, Answer]>([
    ['garbage', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a number that is none', ':x\r\n'],
    ['a reply too many', `${OK}${OK}${OK}`],
    ['an end in the middle of a reply', { close: '+O' }],
    ['an end', { close: '' }],
    ['an end behind a reply', { close: OK }],
    ['a reply in a reply', '*2\r\n+OK\r\n-ERR inner\r\n'],
    ['a long bulk', `$300000\r\n${'x'.repeat(300_000)}\r\n`],
  ])('%s: the keys are there in the end, and count once', async (_, answer) => {
    server = await FakeServer.start(REDIS_7, once(answer));
    const { code, keysRestored, keysRejected } = await report([abc, server.url, '--retry-for', '5s']);
    expect([code, keysRestored, keysRejected]).toEqual([0, 3, 0]);
    for (const key of ['a', 'b', 'c']) expect(server.sent('RESTORE')).toContain(`RESTORE ${key} 0`);
  });

  test('a key that is there when it is sent again, with the same value, is ours', async () => {
    let dump = '';
    let closed = false;
    server = await FakeServer.start(REDIS_7, ([name, key, , payload]) => {
      if (name === 'DUMP') return `$${dump.length}\r\n${dump}\r\n`;
      if (name !== 'RESTORE' || key !== 'b') return USUAL;
      if (closed) return '-BUSYKEY Target key name already exists.\r\n';
      closed = true;
      dump = payload;
      return { close: '' };
    });
    expect(await report([abc, server.url])).toMatchObject({ code: 0, keysRestored: 3, keysRejected: 0 });
  });

  test('no reply at all is a lost connection', { timeout: 15_000 }, async () => {
    server = await FakeServer.start(REDIS_7, ([name, key]) => (name === 'RESTORE' && key !== 'a' ? undefined : USUAL));
    const { code, errors } = await report([abc, server.url, '--retry-for', '1s']);
    expect(code).toBe(4);
    expect(errors).toMatchObject([{ code: 'LOST', got: expect.stringContaining('no reply for 1 s') as string }]);
  });
});

describe('a server that is restarted every time', () => {
  let restarts: boolean;
  beforeEach(async () => {
    restarts = true;
    server = await FakeServer.start({ ...REDIS_7, run_id: 'first', uptime_in_seconds: '0' }, ([name], count) => {
      if (name !== 'PING' || !restarts || count % 2 === 0) return USUAL; // it is asked again on the next connection
      server.info.run_id = `run ${count}`;
      return { close: '' };
    });
  });

  test('five readings end it; each start from the checkpoint has five more', async () => {
    const checkpoint = folder.at('restarted.json');
    const argv = [abc, server.url, '--checkpoint', checkpoint];
    for (const readings of [5, 10]) {
      const { code, errors, resumed } = await report(argv);
      expect([code, resumed]).toEqual([4, readings > 5]);
      expect(errors).toMatchObject([
        {
          code: 'RESTARTED',
          got: expect.stringContaining('for the 5th time') as string,
          hint: 'Find out why the server keeps restarting, then go on from the checkpoint, which reads all sources again.',
        },
      ]);
      expect(JSON.parse(readFileSync(checkpoint, 'utf8'))).toMatchObject({ passes: readings, again: true, finished: false });
      expect(server.sent('RESTORE')).toHaveLength(3 * readings);
    }
    expect((await restore(argv)).err).toContain(
      ` which reads all sources again. Run the same command again to go on from ${checkpoint}.\n`,
    );
    restarts = false;
    expect(await report(argv)).toMatchObject({ code: 0, keysRestored: 3, keysRejected: 0, resumed: true });
    expect(server.sent('RESTORE')).toHaveLength(3 * 16);
    expect((await restore(argv)).err).toContain('this restore is finished, ');
  });

  test('without a checkpoint it says how keys that are there are dealt with', async () => {
    const { code, err } = await restore([abc, server.url]);
    expect(code).toBe(4);
    expect(err).toMatch(/RESTARTED: .* Run the command again with --on-conflict skip to keep existing keys/);
  });
});

describe('what a target may be', () => {
  test('a replica takes no writes', async () => {
    server = await FakeServer.start({ ...REDIS_7, role: 'slave', master_host: '10.0.0.9', master_port: '6380' });
    const { code, err } = await restore([abc, server.url]);
    expect(code).toBe(4);
    expect(err).toMatch(
      /TARGET: 127\.0\.0\.1:\d+: it is a replica of 10\.0\.0\.9:6380, and takes no writes\. Name its master as the target\.\n/,
    );
    expect(server.sent('RESTORE')).toEqual([]);
  });

  test('a sentinel is none', async () => {
    server = await FakeServer.start({ ...REDIS_7, redis_mode: 'sentinel' });
    const { code, err } = await restore([abc, server.url]);
    expect(code).toBe(4);
    expect(err).toMatch(/TARGET: 127\.0\.0\.1:\d+: it is a sentinel\. Write it as redis\+sentinel:\/\/host:port\/master\.\n/);
  });

  test('a node of a cluster is not taken for a single server', async () => {
    server = await FakeServer.start(REDIS_7, ([name]) => (name === 'RESTORE' ? '-MOVED 3999 127.0.0.1:6381\r\n' : USUAL));
    const start = performance.now();
    const { code, err } = await restore([abc, server.url, '--standalone']);
    expect(code).toBe(4);
    expect(err).toContain('REFUSED: ');
    expect(err).toContain('MOVED 3999 127.0.0.1:6381');
    expect(err).toContain('without --standalone');
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('a cluster without slots is said', async () => {
    server = await FakeServer.start({ ...REDIS_7, redis_mode: 'cluster' }, ([name]) =>
      name.toUpperCase() === 'CLUSTER' ? '*0\r\n' : USUAL,
    );
    const { code, err } = await restore([abc, server.url]);
    expect(code).toBe(4);
    expect(err).toMatch(/TARGET: 127\.0\.0\.1:\d+: no node of the cluster has a slot\. /);
  });

  test('a version that is not known is written for as the one before it', async () => {
    server = await FakeServer.start({ redis_version: '9.9.9' });
    const { code, err } = await restore([abc, server.url]);
    expect(code).toBe(0);
    expect(err).toMatch(/rdbkit: warning: Redis 9\.9\.9 is unknown to this rdbkit and treated as Redis 8\.\d+\.\n/);
  });

  test('--target-version says what it is', async () => {
    server = await FakeServer.start({ redis_version: '9.9.9' });
    expect((await restore([abc, server.url, '--target-version', '2.8', '--on-conflict', 'replace'])).code).toBe(0);
    expect(server.sent('RESTORE', 'DEL')).toEqual(['DEL a', 'RESTORE a 0', 'DEL b', 'RESTORE b 0', 'DEL c', 'RESTORE c 0']);
  });
});
