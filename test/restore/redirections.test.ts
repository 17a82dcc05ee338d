import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { Folder } from '../support/cli-support.js';
import { type Answer, FakeServer, OK, type SlotRange, slotsReply, USUAL } from '../support/fake-server.js';
import { type Report, report, strings } from '../support/restore-support.js';

const folder = new Folder();
const started: FakeServer[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});
afterAll(() => folder.remove());

const abc = folder.file('abc.rdb', strings({ a: '1', b: '2', c: '3' }));
const SLOT = keySlot(Buffer.from('b'), 0, 1);
const INFO = { redis_version: '7.0.15', redis_mode: 'cluster' };

type Answers = (command: readonly string[], count: number) => Answer | typeof USUAL;

/** A node of a cluster that knows who has which slots, and answers RESTORE of the key `b` and ASKING as it is told. */
async function node(slots: () => readonly SlotRange[], answers: Answers = () => USUAL): Promise<FakeServer> {
  const server = await FakeServer.start(INFO, (command, count) => {
    const [name, key] = command;
    if (name === 'CLUSTER') return slotsReply(...slots());
    if (name === 'DUMP') return '$-1\r\n';
    return (name === 'RESTORE' && key === 'b') || name === 'ASKING' ? answers(command, count) : USUAL;
  });
  started.push(server);
  return server;
}

const at = ({ port }: FakeServer, host: string | null = '127.0.0.1') => ({ host, port });

/** All slots are one node's; but for that of `b`, which is another's. */
const whole = (owner: SlotRange[2]): SlotRange[] => [[0, 16383, owner]];
const split = (owner: SlotRange[2], other: SlotRange[2]): SlotRange[] => [[0, SLOT - 1, owner], [SLOT, SLOT, other], [SLOT + 1, 16383, owner]];

/** How often a node was sent the key `b`. */
const tries = (server: FakeServer): number => server.sent('RESTORE').filter((command) => command.startsWith('RESTORE b ')).length;

/** Keys that are there, by the name of the server. */
const byServer = ({ counts }: Report): Record<string, number> => Object.fromEntries(counts.map(({ restored, server = '' }) => [server, restored]));

const restoreTo = (url: string, ...argv: string[]): Promise<Report & { code: number | null }> => report([abc, url, '--retry-for', '5s', ...argv]);

let owner: FakeServer;
/** Another node; where it has no slots yet, it is a guest. */
let other: FakeServer;

describe('MOVED', () => {
  test('is followed, where all nodes say something else in CLUSTER SLOTS', async () => {
    const rest = (): SlotRange[] => [[0, 9999, at(owner)], [10000, 16383, at(other)]];
    owner = await node(rest, () => `-MOVED ${SLOT} 127.0.0.1:${other.port}\r\n`);
    other = await node(rest);
    const done = await restoreTo(owner.url);
    expect(done).toMatchObject({ code: 0, keysRestored: 3, keysRejected: 0 });
    expect([tries(owner), tries(other)]).toEqual([1, 1]);
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 1, [`127.0.0.1:${other.port}`]: 2 });
  });

  test('without a host is at the host of the node that said it, whatever the target was called', async () => {
    owner = await node(() => whole(at(owner)), () => `-MOVED ${SLOT} :${other.port}\r\n`);
    other = await node(() => split(at(owner), at(other, null)));
    const done = await restoreTo(owner.url.replace('127.0.0.1', 'localhost'));
    expect(done).toMatchObject({ code: 0, keysRestored: 3 });
    expect([tries(owner), tries(other)]).toEqual([1, 1]);
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 2, [`127.0.0.1:${other.port}`]: 1 });
  });

  test('where nodes do not know their own host, either', async () => {
    owner = await node(() => whole(at(owner, null)), () => `-MOVED ${SLOT} :${other.port}\r\n`);
    other = await node(() => split(at(owner, ''), at(other, '?')));
    const done = await restoreTo(owner.url.replace('127.0.0.1', 'localhost'));
    expect(done).toMatchObject({ code: 0, keysRestored: 3 });
    expect(byServer(done)).toEqual({ [`localhost:${owner.port}`]: 2, [`localhost:${other.port}`]: 1 });
  });

  test('under --nat-map leads to where the node is reached from here', async () => {
    const inner = (host: string): SlotRange[2] => ({ host, port: 7000 });
    owner = await node(() => whole(inner('10.0.0.1')), () => `-MOVED ${SLOT} 10.0.0.2:7000\r\n`);
    other = await node(() => split(inner('10.0.0.1'), inner('10.0.0.2')));
    const map = ['--nat-map', `10.0.0.1:7000=127.0.0.1:${owner.port}`, '--nat-map', `10.0.0.2:7000=127.0.0.1:${other.port}`];
    const done = await restoreTo(owner.url, ...map);
    expect(done).toMatchObject({ code: 0, keysRestored: 3 });
    expect([tries(owner), tries(other)]).toEqual([1, 1]);
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 2, [`127.0.0.1:${other.port}`]: 1 });
  });

  test('to and fro, while nodes disagree, ends when they agree', async () => {
    let agreed = false;
    owner = await node(() => [[0, 9999, at(owner)], [10000, 16383, at(other)]], () => `-MOVED ${SLOT} 127.0.0.1:${other.port}\r\n`);
    other = await node(
      () => [[0, 9999, at(owner)], [10000, 16383, at(other)]],
      () => {
        agreed = tries(other) > 3;
        return agreed ? OK : `-MOVED ${SLOT} 127.0.0.1:${owner.port}\r\n`;
      },
    );
    expect(await restoreTo(owner.url)).toMatchObject({ code: 0, keysRestored: 3, keysRejected: 0 });
    expect([tries(owner), tries(other)]).toEqual([4, 4]);
  });

  test.each([
    ['that is not there', '127.0.0.1:1'],
    ['whose port is none', '127.0.0.1:99999'],
    ['whose name is unknown', '?:7000'],
  ])('to a node %s: the one that said it is asked again', async (_, to) => {
    owner = await node(() => whole(at(owner)), () => (tries(owner) > 3 ? OK : `-MOVED ${SLOT} ${to}\r\n`));
    expect(await restoreTo(owner.url)).toMatchObject({ code: 0, keysRestored: 3, keysRejected: 0 });
    expect(tries(owner)).toBe(4);
  });

  test('of a slot that there is not harms nobody', async () => {
    owner = await node(() => whole(at(owner)), () => (tries(owner) > 1 ? OK : `-MOVED 99999 127.0.0.1:${owner.port}\r\n`));
    expect(await restoreTo(owner.url)).toMatchObject({ code: 0, keysRestored: 3 });
  });
});

describe('ASK to a node that has no slots yet', () => {
  const many = folder.file('many.rdb', strings(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`{b}${i}`, `${i}`]))));

  test('is followed, and what comes after goes to the owner', async () => {
    owner = await node(() => whole(at(owner)), () => `-ASK ${SLOT} 127.0.0.1:${other.port}\r\n`);
    other = await node(() => whole(at(owner)));
    const done = await restoreTo(owner.url);
    expect(done).toMatchObject({ code: 0, keysRestored: 3 });
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 2, [`127.0.0.1:${other.port}`]: 1 });
    expect(other.sent('ASKING', 'RESTORE')).toEqual(['ASKING', 'RESTORE b 0']);
  });

  test('without a host is at that of the node that said it', async () => {
    owner = await node(() => whole(at(owner)), () => `-ASK ${SLOT} :${other.port}\r\n`);
    other = await node(() => whole(at(owner)));
    expect(byServer(await restoreTo(owner.url))).toEqual({ [`127.0.0.1:${owner.port}`]: 2, [`127.0.0.1:${other.port}`]: 1 });
  });

  /** A slot of 200 keys is on its way, until the node that takes it dies: the owner has it for good then. */
  async function dying(ask: (port: number) => string, answers: (die: () => void) => Answer): Promise<Report & { code: number | null }> {
    let dead = false;
    const die = (): void => {
      dead = true;
      setImmediate(() => other.leave()); // what is answered now is answered
    };
    owner = await FakeServer.start(INFO, ([name]) => (name === 'CLUSTER' ? slotsReply(...whole(at(owner))) : name === 'RESTORE' && !dead ? ask(other.port) : name === 'DUMP' ? '$-1\r\n' : USUAL));
    other = await FakeServer.start(INFO, ([name]) => (name === 'RESTORE' ? answers(die) : USUAL));
    started.push(owner, other);
    return report([many, owner.url, '--retry-for', '5s']);
  }
  /** The last of what it was sent are all of the keys. */
  const ownerHasAll = (): boolean => new Set(owner.sent('RESTORE').slice(-200)).size === 200;
  const asked = (port: number): string => `-ASK ${SLOT} 127.0.0.1:${port}\r\n`;

  test('which dies before it answers: all keys are sent to the owner again', async () => {
    const done = await dying(asked, (die) => {
      die();
      return undefined;
    });
    expect(done).toMatchObject({ code: 0, keysRestored: 200, keysRejected: 0 });
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 200 });
    expect(ownerHasAll()).toBe(true);
  });

  test('which dies when it has some: no replica had them, so all sources are read again', async () => {
    const done = await dying(asked, (die) => {
      if (other.sent('RESTORE').length < 50) return OK;
      die();
      return undefined;
    });
    expect(done).toMatchObject({ code: 0, keysRestored: 200, keysRejected: 0 });
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 200 });
    expect(other.sent('RESTORE').length).toBeGreaterThan(49);
    expect(ownerHasAll()).toBe(true);
  });

  test('which dies when it has all, and nothing is left to be sent', async () => {
    const done = await dying(asked, (die) => {
      if (other.sent('RESTORE').length < 200) return OK;
      die();
      return { close: OK };
    });
    expect(done).toMatchObject({ code: 0, keysRestored: 200, keysRejected: 0 });
    expect(byServer(done)).toEqual({ [`127.0.0.1:${owner.port}`]: 200 });
    expect(ownerHasAll()).toBe(true);
  });

  test('which nobody is at: all keys are sent to the owner again', async () => {
    let left = 300;
    const done = await dying(() => (left-- > 0 ? `-ASK ${SLOT} 127.0.0.1:1\r\n` : OK), () => OK);
    expect(done).toMatchObject({ code: 0, keysRestored: 200, keysRejected: 0 });
  });
});
