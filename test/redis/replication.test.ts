import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { ConnectionLost, ServerError } from '../../src/redis/errors.js';
import { ReplicationLink, type ReplicationOptions } from '../../src/redis/replication.js';
import { until } from '../support/until.js';

/** What a master says, in the order in which it is written; a function is called with the socket instead. */
type Words = readonly (string | Uint8Array | ((socket: Socket) => Promise<void> | void))[];

/** A server that only replicates: it answers commands by their name, with words that are written one after another. */
class Master {
  readonly commands: string[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly listener: Server,
    private readonly answers: Readonly<Record<string, Words>>,
  ) {
    listener.on('connection', (socket) => this.serve(socket));
  }

  static async start(answers: Readonly<Record<string, Words>>): Promise<Master> {
    const listener = createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new Master(listener, answers);
  }

  private serve(socket: Socket): void {
    let text = '';
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let match = COMMAND.exec(text); match !== null; match = COMMAND.exec(text)) {
        const args = [...match[0].matchAll(/\$\d+\r\n(.*)\r\n/g)].map(([, arg]) => arg);
        text = text.slice(match[0].length);
        this.commands.push(args.join(' '));
        void this.say(socket, this.answers[args[0]] ?? ['+OK\r\n']);
      }
    });
  }

  private async say(socket: Socket, words: Words): Promise<void> {
    for (const word of words) {
      if (typeof word === 'function') await word(socket);
      else socket.write(typeof word === 'string' ? Buffer.from(word, 'latin1') : word);
      await turn();
      await turn();
    }
  }

  /** A connection to it that is paused, as `openSocket` gives it. */
  async socket(): Promise<Socket> {
    const socket = connect((this.listener.address() as { port: number }).port, '127.0.0.1');
    await once(socket, 'connect');
    return socket.pause();
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.listener.close();
  }
}

const COMMAND = /^\*\d+\r\n(?:\$\d+\r\n[^\r\n]*\r\n)+?(?=\*|$)/;

let master: Master | undefined;
afterEach(() => master?.stop());

const ID = '0123456789abcdef0123456789abcdef01234567';
const MARK = 'fedcba9876543210fedcba9876543210fedcba98';
const FULL = `+FULLRESYNC ${ID} 100\r\n`;
const close = (socket: Socket): void => void socket.end();

async function full(answers: Readonly<Record<string, Words>>, options: Partial<ReplicationOptions> = {}): Promise<ReplicationLink> {
  master = await Master.start(answers);
  return ReplicationLink.full(await master.socket(), { name: 'm:1', ...options });
}

async function bytesOf(link: ReplicationLink, size?: number): Promise<string> {
  let text = '';
  for await (const chunk of link.rdb(size === undefined ? undefined : new Uint8Array(size))) {
    expect(chunk.constructor).toBe(Uint8Array);
    expect(chunk.length).toBeGreaterThan(0);
    text += Buffer.from(chunk).toString('latin1');
  }
  return text;
}

/** What a copy comes to: its bytes, or the error. */
async function copy(answers: Readonly<Record<string, Words>>, options: Partial<ReplicationOptions> = {}): Promise<string> {
  try {
    const link = await full(answers, options);
    const text = await bytesOf(link);
    link.close();
    return text;
  } catch (error) {
    if (error instanceof ServerError) return `${error.code}${error.passing ? ', passing' : ''}: ${error.message}`;
    if (error instanceof ConnectionLost) return `lost: ${error.message}`;
    throw error;
  }
}

test('the handshake: each command waits for the answer to the one before', async () => {
  const link = await full({ PSYNC: [FULL, '$3\r\nRDB'] }, { rdbOnly: true });
  expect(master?.commands).toEqual(['REPLCONF version 9.2.0', 'REPLCONF capa eof capa psync2', 'REPLCONF rdb-only 1', 'PSYNC ? -1']);
  expect([link.id, link.offset, link.size]).toEqual([ID, 100, 3]);
  expect(await bytesOf(link)).toBe('RDB');
  expect(link.received).toBe(3);
  link.close();
});

test.each([
  ['Redis, which has no version', { REPLCONF: ['-ERR Unrecognized REPLCONF option: version\r\n'] }, 3],
  ['before 2.8, without REPLCONF', { REPLCONF: ["-ERR unknown command 'REPLCONF'\r\n"] }, 1],
  ['a user that may not', { REPLCONF: ["-NOPERM this user has no permissions to run the 'replconf' command\r\n"] }, 1],
])('REPLCONF is no condition: %s', async (_, answers, times) => {
  expect(await copy({ ...answers, PSYNC: [FULL, '$3\r\nRDB'] }, { rdbOnly: true })).toBe('RDB');
  expect(master?.commands.filter((command) => command.startsWith('REPLCONF'))).toHaveLength(times);
});

test('newlines keep the link alive wherever the server has nothing to say yet', async () => {
  let preparing = 0;
  const answers = {
    REPLCONF: ['\n', '+OK\r\n'],
    PSYNC: ['\n', '\n\n', '+FULL', `RESYNC ${ID} 7\r`, '\n', '\n', '\n', '$', '1', '0\r', '\n01234', '56789'],
  };
  expect(await copy(answers, { onPreparing: () => preparing++ })).toBe('0123456789');
  expect(preparing).toBe(5);
});

test('a mark that ends the RDB may be cut anywhere, and its beginning may come before', async () => {
  const body = `RDB${MARK.slice(0, 39)}${MARK.slice(0, 20)}\n-${MARK.slice(1)}`;
  const whole = `${FULL}\n$EOF:${MARK}\r\n${body}${MARK}`;
  for (let cut = 1; cut < whole.length; cut += 1) {
    expect([cut, await copy({ PSYNC: [whole.slice(0, cut), whole.slice(cut)] })]).toEqual([cut, body]);
    master?.stop();
  }
  expect(await copy({ PSYNC: [...whole] })).toBe(body);
});

test('a buffer that is hardly larger than the mark gives the same bytes', async () => {
  const body = 'x'.repeat(100) + MARK.slice(0, 30) + 'y'.repeat(100);
  for (const size of [41, 42, 64]) {
    expect(await bytesOf(await full({ PSYNC: [`${FULL}$EOF:${MARK}\r\n${body}${MARK}`] }), size)).toBe(body);
    master?.stop();
  }
});

test('servers before 2.8 have SYNC', async () => {
  const link = await full({
    REPLCONF: ["-ERR unknown command 'REPLCONF'\r\n"],
    PSYNC: ["-ERR unknown command 'PSYNC'\r\n"],
    SYNC: ['\n', '$3\r\n', 'RDB'],
  });
  expect([link.id, link.offset, await bytesOf(link)]).toEqual(['', undefined, 'RDB']);
  await expect(link.commands().next()).rejects.toThrow('no stream');
  expect(master?.commands).toEqual(['REPLCONF version 9.2.0', 'PSYNC ? -1', 'SYNC']);
  link.close();
});

test('a name of PSYNC that a service gives is the only one that is tried', async () => {
  expect(await copy({ xpsync: [FULL, '$3\r\nRDB'] }, { psync: 'xpsync' })).toBe('RDB');
  expect(master?.commands.at(-1)).toBe('xpsync ? -1');
  master?.stop();
  expect(await copy({ xpsync: ["-ERR unknown command 'xpsync'\r\n"], SYNC: ['$3\r\nRDB'] }, { psync: 'xpsync' })).toBe(
    "REFUSED: m:1: ERR unknown command 'xpsync'",
  );
});

test('a name that stands for SYNC takes no arguments', async () => {
  let times = 0;
  const answer = (socket: Socket): void => {
    socket.write(times++ === 0 ? "-ERR wrong number of arguments for 'xsync' command\r\n" : '$3\r\nRDB');
  };
  expect(await copy({ xsync: [answer] }, { psync: 'xsync' })).toBe('RDB');
  expect(master?.commands.slice(-2)).toEqual(['xsync ? -1', 'xsync']);
});

test.each([
  ["NOMASTERLINK Can't SYNC while not connected with my master", ', passing'],
  ["ERR Can't SYNC while not connected with my master", ', passing'],
  ['LOADING Redis is loading the dataset in memory', ', passing'],
  ['ERR Unable to perform background save', ', passing'],
  ["ERR BGSAVE failed, replication can't continue", ', passing'],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ', passing'],
  ["NOPERM this user has no permissions to run the 'psync' command", ''],
  ["ERR unknown command 'SYNC'", ''],
])('refused: %s', async (error, passing) => {
  expect(await copy({ PSYNC: [`-${error}\r\n`], SYNC: [`-${error}\r\n`] })).toBe(`REFUSED${passing}: m:1: ${error}`);
  master?.stop();
  // the child of the server may fail after it has answered
  expect(await copy({ PSYNC: [FULL, '\n', `-${error}\r\n`] })).toBe(`REFUSED${passing}: m:1: ${error}`);
});

const STRANGE = 'REFUSED: m:1: it does not answer like a server that replicates: ';

test.each([
  ['a negative length', [FULL, '$-1\r\n'], '"$-1"'],
  ['an absurd length', [FULL, '$99999999999999999999\r\n'], '"$99999999999999999999"'],
  ['a length that is none', [FULL, '$12x\r\n'], '"$12x"'],
  ['a mark that is too short', [FULL, `$EOF:${MARK.slice(1)}\r\n`], `"$EOF:${MARK.slice(1)}"`],
  ['a mark that is too long', [FULL, `$EOF:${MARK}0\r\n`], `"$EOF:${MARK}0"`],
  ['a web server', ['HTTP/1.1 400 Bad Request\r\n'], '"HTTP/1.1 400 Bad Request"'],
  ['an offset that is none', [`+FULLRESYNC ${ID} x\r\n`], `"+FULLRESYNC ${ID} x"`],
  ['an absurd offset', [`+FULLRESYNC ${ID} 99999999999999999999\r\n`], `"+FULLRESYNC ${ID} 99999999999999999999"`],
  ['something else', ['+RDBCHANNELSYNC 17\r\n'], '"+RDBCHANNELSYNC 17"'],
  ['a continuation that nobody asked for', ['+CONTINUE\r\n'], '"+CONTINUE"'],
  ['a line without end', ['+', 'x'.repeat(5000)], '"a line of more than 4096 bytes"'],
])('no replication: %s', async (_, words, shown) => {
  expect(await copy({ PSYNC: words })).toBe(STRANGE + shown);
});

test.each([
  ['at once', [close]],
  ['before the RDB', [FULL, '\n', close]],
  ['within the header', [FULL, '$1', close]],
  ['within the RDB', [FULL, '$10\r\n012345678', close]],
  ['before the mark', [FULL, `$EOF:${MARK}\r\nRDB`, close]],
  ['within the mark', [FULL, `$EOF:${MARK}\r\nRDB${MARK.slice(1)}`, close]],
])('a server that closes the link: %s', async (_, words) => {
  expect(await copy({ PSYNC: words })).toBe('lost: the connection was closed');
});

test('a server that is silent is lost, also within the RDB', async () => {
  expect(await copy({ REPLCONF: [] }, { patience: 50 })).toMatch(/^lost: no byte came for 0 s/);
  master?.stop();
  expect(await copy({ PSYNC: [FULL] }, { patience: 50 })).toMatch(/^lost: no byte came/);
  master?.stop();
  expect(await copy({ PSYNC: [FULL, '$10\r\nRDB'] }, { patience: 50 })).toMatch(/^lost: no byte came/);
});

test.each([
  ['in the handshake', { REPLCONF: [] }],
  ['while the server prepares the RDB', { PSYNC: [FULL, '\n'] }],
  ['within the RDB', { PSYNC: [FULL, '$10\r\nRDB'] }],
])('a signal ends it: %s', async (_, answers) => {
  const over = new AbortController();
  const copying = copy(answers, { signal: over.signal });
  const expected = expect(copying).rejects.toThrow('enough');
  await until('it was asked', () => master?.commands.at(-1) === ('PSYNC' in answers ? 'PSYNC ? -1' : 'REPLCONF version 9.2.0'));
  over.abort(new Error('enough'));
  await expected;
});

test('a signal ends it, also where bytes have arrived that nobody has read', async () => {
  const over = new AbortController();
  const link = await full({ PSYNC: [FULL, `$10\r\n0123456789`] }, { signal: over.signal });
  const chunks = link.rdb(new Uint8Array(5));
  await chunks.next();
  over.abort(new Error('enough'));
  await expect(chunks.next()).rejects.toThrow('enough');
});

test('a server is not read while nobody pulls', async () => {
  const size = 64 << 20;
  let written = 0;
  const rest = async (socket: Socket): Promise<void> => {
    for (const block = Buffer.alloc(1 << 20); written < size; written += block.length) {
      await new Promise((resolve) => socket.write(block, resolve));
    }
  };
  const link = await full({ PSYNC: [FULL, `$${size}\r\n`, rest] });
  const rdb = link.rdb();
  await rdb.next();
  let before = -1;
  await until('the server is stuck', async () => {
    const stuck = before === written;
    before = written;
    for (let i = 0; i < 50; i++) await turn();
    return stuck;
  });
  expect(written).toBeLessThan(size);
  expect(link.longestPause).toBeGreaterThan(0);
  let sum = link.received;
  for await (const chunk of rdb) sum += chunk.length;
  expect([sum, link.received]).toEqual([size, size]);
  expect(link.longestPause).toBeGreaterThan(0);
  link.close();
});

test('who stops reading the RDB closes the link', async () => {
  let closed = false;
  const watch = (socket: Socket): void => {
    socket.on('close', () => (closed = true));
  };
  const link = await full({ PSYNC: [watch, FULL, '$10\r\nRDB'] });
  for await (const chunk of link.rdb()) {
    expect(chunk).toHaveLength(3);
    break;
  }
  await until('the server sees it', () => closed);
});

test('the stream begins after the first ACK, which is repeated until then', async () => {
  const acks: string[] = [];
  const answers = {
    PSYNC: [FULL, `$EOF:${MARK}\r\nRDB${MARK}`],
    REPLCONF: [
      (socket: Socket): void => {
        const last = master?.commands.at(-1) ?? '';
        if (!last.startsWith('REPLCONF ACK')) socket.write('+OK\r\n');
        else if (acks.push(last) === 3) socket.write('*1\r\n$4\r\nPING\r\n');
      },
    ],
  };
  const link = await full(answers);
  expect(await bytesOf(link)).toBe('RDB');
  const stream = link.commands();
  const { value } = await stream.next();
  expect(Buffer.from(value.bytes).toString()).toBe('*1\r\n$4\r\nPING\r\n');
  expect(value.offset).toBe(114);
  expect(acks).toEqual(['REPLCONF ACK 100', 'REPLCONF ACK 100', 'REPLCONF ACK 100']);
  const more = stream.next(); // the first chunk is done with
  await until('it is acknowledged', () => acks.at(-1) === 'REPLCONF ACK 114');
  link.close();
  await expect(more).rejects.toThrow('closed');
});

test('what follows the mark in the same read is the stream', async () => {
  const link = await full({ PSYNC: [`${FULL}$EOF:${MARK}\r\nRDB${MARK}*1\r\n$4\r\nPING\r\n`] });
  expect(await bytesOf(link)).toBe('RDB');
  const { value } = await link.commands().next();
  expect([Buffer.from(value.bytes).toString(), value.offset]).toEqual(['*1\r\n$4\r\nPING\r\n', 114]);
  link.close();
});

test('to continue, the server is asked for the byte after the offset, and may have a new id', async () => {
  for (const [words, id] of [
    [`+CONTINUE ${MARK}\r\n`, MARK],
    ['+CONTINUE\r\n', ID],
  ]) {
    const unlessAck = (socket: Socket): void => {
      if (master?.commands.at(-1)?.includes('ACK') !== true) socket.write('+OK\r\n');
    };
    master = await Master.start({ PSYNC: ['\n', words, 'abc'], REPLCONF: [unlessAck] });
    const link = await ReplicationLink.from(await master.socket(), ID, 41, { name: 'm:1' });
    const first = await link?.commands().next();
    expect([link?.id, first?.value.offset]).toEqual([id, 44]);
    expect(master.commands).toContain(`PSYNC ${ID} 42`);
    link?.close();
    master.stop();
  }
});

test('a server that would only give a full copy does not continue', async () => {
  master = await Master.start({ PSYNC: [FULL, '$10\r\n'] });
  expect(await ReplicationLink.from(await master.socket(), ID, 41, { name: 'm:1' })).toBeUndefined();
  expect(master.commands).toContain('REPLCONF rdb-filter-only ');
});
