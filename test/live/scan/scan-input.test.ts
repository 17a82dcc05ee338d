import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyGuard } from '../../../src/live/scan/latency-guard.js';
import type { NodeScan } from '../../../src/live/scan/node-scan.js';
import { array, bulk, dumpOf, FakeNode, type NodeAnswer, scanReply } from '../../support/fake-node.js';
import { scan } from '../../support/scan-support.js';
import { recordsOf } from '../../support/support.js';

const keysIn = (lines: string): string[] => [...lines.matchAll(/"key":"([^"]*)","type":"string"/g)].map(([, key]) => key);

/** Three keys in two pages, of which one has an expiry. */
function threeKeys([name, key]: readonly string[]): NodeAnswer | undefined {
  if (name === 'SCAN') return key === '0' ? scanReply('7', 'a', 'b') : scanReply('0', 'c');
  if (name === 'DUMP' && key !== '') return dumpOf(`value of ${key}`);
  if (name === 'PEXPIRETIME' && key === 'b') return ':1900000000123\r\n';
  return undefined;
}

/** One page of keys; `answers` for the rest. */
const pageOf =
  (keys: readonly string[], answers: (command: readonly string[]) => NodeAnswer | undefined) =>
  (command: readonly string[]): NodeAnswer | undefined => {
    const own = answers(command);
    if (own !== undefined) return own;
    if (command[0] === 'SCAN') return scanReply('0', ...keys);
    return command[0] === 'DUMP' && command[1] !== '' ? dumpOf('v') : undefined;
  };

describe('replies', () => {
  test('mean the same wherever they are cut', async () => {
    const whole = (await scan(new FakeNode(threeKeys).target())).lines.replace(/"ctime","value":"\d+"/, '');
    expect(keysIn(whole)).toEqual(['a', 'b', 'c']);
    expect(whole).toContain('"expireAt":1900000000123');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }), async (pieces) => {
        const { lines } = await scan(new FakeNode(threeKeys, pieces).target());
        expect(lines.replace(/"ctime","value":"\d+"/, '')).toBe(whole);
      }),
      { numRuns: 30, examples: [[[1]], [[2]], [[3]]] },
    );
  });

  test('ask for the next page before the keys of this one, and for DUMP before its expiry', async () => {
    const node = new FakeNode(threeKeys);
    await scan(node.target(), { functions: false });
    const asked = node.commands.slice(node.commands.findIndex((command) => command.startsWith('SCAN')));
    expect(asked.pop()).toBe('INFO commandstats');
    expect(asked).toEqual([
      'SCAN 0 COUNT 100',
      'SCAN 7 COUNT 200',
      'DUMP a',
      'PEXPIRETIME a',
      'DUMP b',
      'PEXPIRETIME b',
      'DUMP c',
      'PEXPIRETIME c',
    ]);
  });

  test('of SCAN may be empty, have more keys than were asked for, and cursors of 64 bits', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => `key:${i}`);
    const cursors = ['18446744073709551615', '9223372036854775809', '1'];
    const pages = [[], [], many, ['last']];
    let page = 0;
    const node = new FakeNode(([name, key]) => {
      if (name === 'SCAN') return scanReply(cursors[page] ?? '0', ...pages[page++]);
      return name === 'DUMP' && key !== '' ? dumpOf('v') : undefined;
    });
    const { input, lines } = await scan(node.target());
    expect(keysIn(lines)).toHaveLength(5001);
    expect(input.counts.written).toBe(5001);
    expect(node.sent('SCAN').map((command) => command.split(' ')[1])).toEqual(['0', ...cursors]);
  });

  test('to requests for a long page are not all in flight at once', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => `key:${i}`);
    const node = new FakeNode(pageOf(many, () => undefined));
    const { input } = await scan(node.target(), { scan: { count: 50 } });
    expect(input.counts.written).toBe(5000);
    expect(node.longest).toBeLessThan(50 * 1.5 * 100); // bytes of commands that came at once: a batch
  });
});

describe('keys that are not written are counted', () => {
  test('gone before DUMP, or before their expiry', async () => {
    const node = new FakeNode(
      pageOf(['nil', 'expired', 'stays'], ([name, key]) =>
        name === 'DUMP' && key === 'nil' ? '$-1\r\n' : name === 'PEXPIRETIME' && key === 'expired' ? ':-2\r\n' : undefined,
      ),
    );
    const { input, lines } = await scan(node.target());
    expect(keysIn(lines)).toEqual(['stays']);
    expect(input.counts).toMatchObject({ written: 1, gone: 2 });
  });

  test('given twice, also while the first one is on its way; one that was gone the first time is written', async () => {
    let asked = 0;
    const node = new FakeNode(([name, key]) => {
      if (name === 'SCAN') return key === '0' ? scanReply('5', 'a', 'b', 'a') : scanReply('0', 'a', 'b');
      if (name === 'DUMP' && key === 'b') return asked++ === 0 ? '$-1\r\n' : dumpOf('v');
      return name === 'DUMP' && key === 'a' ? dumpOf('v') : undefined;
    });
    const { input, lines } = await scan(node.target());
    expect(keysIn(lines)).toEqual(['a', 'b']);
    expect(input.counts).toMatchObject({ written: 2, gone: 1, repeated: 2 });
  });

  test('moved, at DUMP or after it: their slots are known afterwards', async () => {
    const node = new FakeNode(
      pageOf(['a', 'b', 'c', 'd'], ([name, key]) => {
        if (key === 'a' && name !== 'SCAN') return '-MOVED 15495 10.0.0.1:7000\r\n';
        if (key === 'b' && name !== 'SCAN') return '-ASK 3300 10.0.0.1:7000\r\n';
        return key === 'c' && name === 'PEXPIRETIME' ? '-MOVED 7365 10.0.0.1:7000\r\n' : undefined;
      }),
    );
    const done: NodeScan[] = [];
    const { input, lines } = await scan(node.target(), { next: (one) => (done.push(one), Promise.resolve(undefined)) });
    expect(keysIn(lines)).toEqual(['d']);
    expect(input.counts).toMatchObject({ written: 1, moved: 3, problems: 0 });
    expect([...done[0].movedSlots]).toEqual([15495, 7365]);
    expect([...done[0].askedSlots]).toEqual([3300]);
  });

  test('answered with an error, too short, or of a type that is not known: each is named', async () => {
    const node = new FakeNode(
      pageOf(['a', 'b', 'c', 'd'], ([name, key]) => {
        if (name !== 'DUMP') return undefined;
        if (key === 'a') return '-ERR this module value cannot be dumped\r\n';
        if (key === 'b') return bulk('short');
        return key === 'c' ? bulk(`\xc8payload\x0a\0${'\0'.repeat(8)}`) : undefined;
      }),
    );
    const { input, lines, problems } = await scan(node.target());
    expect(keysIn(lines)).toEqual(['d']);
    expect(input.counts).toMatchObject({ written: 1, problems: 3 });
    expect(problems).toEqual([
      '0 a: DUMP: ERR this module value cannot be dumped',
      '0 b: DUMP: a payload of 5 bytes',
      '0 c: DUMP: a value of type 200, which is not known',
    ]);
  });
});

describe('a source that cannot be read', () => {
  const refused = (answer: string, of: string): FakeNode => new FakeNode(pageOf(['a'], ([name]) => (name === of ? answer : undefined)));

  test.each([
    ['SCAN', "-NOPERM this user has no permissions to run the 'scan' command\r\n"],
    ['SCAN', "-ERR unknown command 'SCAN'\r\n"],
    ['DUMP', "-ERR unknown command 'DUMP', with args beginning with: 'a'\r\n"],
    ['DUMP', '-NOAUTH Authentication required.\r\n'],
    ['DUMP', '-ERR command is not supported by this proxy\r\n'],
  ])('refuses %s: %s', async (command, answer) => {
    await expect(scan(refused(answer, command).target())).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      file: 'fake:1',
      got: `${command}: ${answer.slice(1, -2)}`,
    });
  });

  test.each([
    ['no length', '$x\r\n'],
    ['a length without an end', `$${'9'.repeat(40)}`],
    ['another byte', '!1\r\n'],
    ['a map of RESP 3', '%1\r\n'],
    ['a string where keys are due', array(bulk('0'), bulk('a'))],
    ['a null among the keys', array(bulk('0'), array('$-1\r\n'))],
    ['a key of terabytes', array(bulk('0'), '*1\r\n$9999999999999\r\nabc')],
    ['no number as cursor', scanReply('abc', 'a')],
    ['a cursor of kilobytes', `*2\r\n$5000\r\n${'1'.repeat(5000)}\r\n*0\r\n`],
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ])('answers SCAN with %s', async (_, answer) => {
    await expect(scan(refused(answer, 'SCAN').target())).rejects.toMatchObject({ code: 'SOURCE_LOST' });
  });

  test.each([
    ['an integer', ':1\r\n'],
    ['a string that is longer than it says', '$3\r\nabcdefgh\r\n'],
    ['an array', '*1\r\n:1\r\n'],
  ])('answers DUMP with %s', async (_, answer) => {
    await expect(scan(refused(answer, 'DUMP').target())).rejects.toMatchObject({ code: 'SOURCE_LOST' });
  });

  test('is several servers of different versions', async () => {
    const node = new FakeNode(pageOf(['a', 'b'], ([name, key]) => (name === 'DUMP' && key === 'b' ? dumpOf('v', 12) : undefined)));
    await expect(scan(node.target())).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      expected: 'values of RDB version 10, as the first ones',
      got: 'one of version 12: servers of different versions answer',
    });
  });

  test('closes the connection each time: it is lost after retryFor, and a length of gigabytes costs no memory', async () => {
    const node = new FakeNode(pageOf(['a'], ([name, key]) => (name === 'DUMP' && key === 'a' ? { end: '$500000000\r\nabc' } : undefined)));
    await expect(scan(node.target(), { retryFor: 100 })).rejects.toMatchObject({ code: 'SOURCE_LOST' });
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(400e6);
  });
});

describe('a connection that is lost', () => {
  test.each(['-LOADING Redis is loading the dataset in memory\r\n', '-CLUSTERDOWN The cluster is down\r\n'])('by %s', async (answer) => {
    let times = 0;
    const node = new FakeNode(pageOf(['a'], ([name, key]) => (name === 'DUMP' && key === 'a' && times++ === 0 ? answer : undefined)));
    const { events, lines } = await scan(node.target());
    expect(keysIn(lines)).toEqual(['a']);
    expect(events).toEqual([`fake:1: ${answer.slice(1, -2)}: trying again`]);
  });

  test('goes on from the last cursor whose keys are all written, in the same process only', async () => {
    for (const same of [true, false]) {
      let lost = false;
      const node: FakeNode = new FakeNode(([name, key]) => {
        if (name === 'SCAN') return { 0: scanReply('5', 'a', 'b'), 5: scanReply('9', 'c', 'd'), 9: scanReply('0', 'e') }[key];
        if (name !== 'DUMP' || key === '') return undefined;
        if (key !== 'd' || lost) return dumpOf('v');
        lost = true;
        if (!same) node.runId = 'another';
        return { end: '$20\r\ncut' };
      });
      const { input, lines } = await scan(node.target());
      expect(keysIn(lines)).toEqual(['a', 'b', 'c', 'd', 'e']);
      expect(input.counts.repeated).toBe(same ? 1 : 3);
      const cursors = node.sent('SCAN').map((command) => command.split(' ')[1]);
      expect(cursors).toEqual(same ? ['0', '5', '9', '5', '9'] : ['0', '5', '9', '0', '5', '9']);
    }
  });
});

describe('what is asked', () => {
  test('of slots that are being imported: ASKING before every command', async () => {
    const node = new FakeNode(pageOf(['a'], () => undefined));
    const { lines } = await scan(node.target({ asking: true }), { functions: false, scan: { idleTimes: true } });
    expect(keysIn(lines)).toEqual(['a']);
    const from = node.commands.findIndex((command) => command.startsWith('SCAN'));
    expect(node.commands.slice(from, -1)).toEqual([
      'SCAN 0 COUNT 100',
      'ASKING',
      'OBJECT IDLETIME a',
      'ASKING',
      'DUMP a',
      'ASKING',
      'PEXPIRETIME a',
    ]);
  });

  test('of a replica of a cluster: READONLY first', async () => {
    const node = new FakeNode(pageOf(['a'], () => undefined));
    await scan(node.target({ readOnly: true }));
    expect(node.commands[0]).toBe('READONLY');
  });

  test('of a server without PEXPIRETIME: the time before 32 keys, and what is left of each', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `key:${i}`);
    const node = new FakeNode(
      pageOf(keys, ([name, key]) => {
        if (name === 'PEXPIRETIME') return "-ERR unknown command 'PEXPIRETIME'\r\n";
        return name === 'PTTL' && key === 'key:39' ? ':5000\r\n' : undefined;
      }),
      [7],
    );
    const { lines } = await scan(node.target());
    expect(lines.match(/"expireAt":\d+/g)).toEqual(['"expireAt":1800000005123']);
    expect(node.sent('TIME')).toHaveLength(3); // the first asks whether it may be asked
  });

  test('expiries beyond what a double holds are exact', async () => {
    const node = new FakeNode(
      pageOf(['a'], ([name, key]) => (name === 'PEXPIRETIME' && key === 'a' ? ':9007199254740995\r\n' : undefined)),
    );
    const { rdb } = await scan(node.target());
    const at = Buffer.from(rdb).indexOf(Buffer.from([0xfc]));
    expect(Buffer.from(rdb).readBigInt64LE(at + 1)).toBe(9007199254740995n);
  });

  test('further nodes follow in the same RDB, and the databases are selected', async () => {
    const second = new FakeNode(pageOf(['c', 'a'], () => undefined));
    const first = new FakeNode(pageOf(['a', 'b'], () => undefined));
    const targets = [second.target()];
    const { input, lines, rdb } = await scan(first.target(), { next: () => Promise.resolve(targets.shift()) });
    expect(keysIn(lines)).toEqual(['a', 'b', 'c']);
    expect(input.counts).toMatchObject({ written: 3, repeated: 1 });
    expect(recordsOf(rdb).length).toBeGreaterThan(0);
  });
});

describe('limits', () => {
  test('of keys: no more are asked for at once than a tenth of a second allows', async () => {
    const keys = Array.from({ length: 30 }, (_, i) => `key:${i + 10}`);
    const limited = new FakeNode(pageOf(keys, () => undefined));
    const { input } = await scan(limited.target(), { scan: { maxKeysPerSecond: 100 } });
    expect(input.counts.written).toBe(30);
    const bytesOfKey = 'DUMP PEXPIRETIME'.length + 2 * 'key:10'.length + 40;
    expect(limited.longest).toBeLessThan(15 * bytesOfKey + 100);
    const free = new FakeNode(pageOf(keys, () => undefined));
    await scan(free.target());
    expect(free.longest).toBeGreaterThan(limited.longest);
  });

  test('of latency: a late answer makes batches smaller and pauses longer, until answers are fast again', () => {
    const events: string[] = [];
    const guard = new LatencyGuard({
      target: new FakeNode(() => undefined).target(),
      limit: 10,
      signal: AbortSignal.abort(),
      onNote: () => undefined,
      onEvent: (text) => events.push(text),
    });
    guard.took(11);
    expect([guard.share, guard.pause]).toEqual([0.5, 5]);
    guard.took(200);
    expect([guard.share, guard.pause]).toEqual([0.25, 10]);
    for (let i = 0; i < 100; i++) guard.took(1000);
    expect([guard.share, guard.pause]).toEqual([1 / 1024, 1000]);
    guard.took(7); // neither late nor fast
    expect(guard.share).toBe(1 / 1024);
    for (let i = 0; i < 100; i++) guard.took(1);
    expect([guard.share, guard.pause]).toEqual([1, 0]);
    expect(events).toEqual(['fake:1 takes 11 ms to answer PING, more than 10: reading slows down']);
  });
});
