// Spoils DUMP payloads and gives them to a real server with `sanitize-dump-payload yes`: whatever it refuses, the deep check must find, and
// nothing that the check passes may crash it, then or when the key is used.
//
//     npm run build && node bench/check-mutations.mjs [--count 20000] [--seed 1] [--server redis-server] [--show 10]
//     node bench/check-mutations.mjs --level structure --sanitize no       what restore --sanitize auto sends to a server as it comes
//
// The healthy payloads are those of fixtures/servers that the server knows, their strings decompressed, and values that the server makes
// from random commands.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    server: { type: 'string', default: 'redis-server' },
    show: { type: 'string', default: '10' },
    level: { type: 'string', default: 'all' },
    sanitize: { type: 'string', default: 'yes' },
    dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
  },
});

const load = (path) => import(pathToFileURL(join(options.dist, path)).href);
const { ValueCheck } = await load('check/value-check.js');
const { Framer } = await load('rdb/framer.js');
const { payloadFrame } = await load('rdb/payload-frame.js');
const { encodePayload, parsePayload } = await load('rdb/payload.js');
const { readString, Scratch } = await load('rdb/string.js');
const { readLength } = await load('rdb/length.js');
const { Element } = await load('encodings/element.js');
const { RECORD, NEED } = await load('rdb/frame.js');
const { RdbError } = await load('bytes/errors.js');

/** Mulberry32: a number in [0, 1) a call. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const next = random(Number(options.seed));
const below = (n) => Math.floor(next() * n);
const pick = (list) => list[below(list.length)];

/** RDB version of Redis 7.0, and the greatest type that it has. */
const VERSION = 10;
const GREATEST_TYPE = 19;
const MODULE = 7;
const LARGEST = 3000;

// ---- healthy payloads

const lengthOf = (n) =>
  n < 0x40 ? [n] : n < 0x4000 ? [0x40 | (n >> 8), n & 0xff] : [0x80, n >>> 24, (n >> 16) & 0xff, (n >> 8) & 0xff, n & 0xff];

/** The value with its packed strings as they are, not compressed: spoilt bytes are those of the structure then. */
function decompressed(type, value) {
  const { form } = type;
  const parts = [];
  const element = new Element();
  const scratch = new Scratch();
  const length = { value: 0, hi: 0, lo: 0 };
  let pos = 0;
  const number = () => {
    const after = readLength(value, pos, value.length, length);
    parts.push(value.subarray(pos, after));
    pos = after;
    return length.value;
  };
  const string = () => {
    const after = readString(value, pos, value.length, element);
    if (value[pos] === 0xc3) {
      scratch.inflate(element);
      parts.push(Uint8Array.from(lengthOf(element.num)), element.bytes.slice(element.start, element.end));
    } else {
      parts.push(value.subarray(pos, after));
    }
    pos = after;
  };
  if (['ziplist', 'listpack', 'zipmap', 'intset'].includes(form)) string();
  else if (form === 'quicklist') for (let nodes = number(); nodes > 0; nodes--) string();
  else if (form === 'quicklist2') {
    for (let nodes = number(); nodes > 0; nodes--) {
      number();
      string();
    }
  } else if (form === 'stream') {
    for (let strings = number() * 2; strings > 0; strings--) string();
  }
  parts.push(value.subarray(pos));
  return Buffer.concat(parts);
}

function fixturePayloads() {
  const folder = new URL('../fixtures/servers/', import.meta.url);
  const payloads = [];
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.rdb'))) {
    const framer = new Framer({ limit: Infinity, meta: false });
    framer.push(new Uint8Array(readFileSync(new URL(name, folder))));
    for (let kind = framer.next(); kind === RECORD; kind = framer.next()) {
      const { bytes, end, start, type } = framer.frame;
      if (type.id === 0 || type.id === MODULE || type.id > GREATEST_TYPE) continue;
      const value = decompressed(type, bytes.slice(start, end));
      if (value.length <= LARGEST) payloads.push({ type: type.id, value });
    }
  }
  return payloads;
}

/** Zipmaps were written until Redis 2.4: no server of the fixtures has them. */
function zipmapPayloads() {
  return [1, 3, 9].map((pairs) => {
    const bytes = [pairs];
    for (let i = 0; i < pairs; i++) {
      for (const [text, free] of [[`field ${i}`], ['v'.repeat(i * 40), i % 3]]) {
        bytes.push(
          ...(text.length < 254 ? [text.length] : [254, text.length & 0xff, text.length >> 8, 0, 0]),
          ...(free === undefined ? [] : [free]),
          ...Buffer.from(text),
          ...Array(free ?? 0).fill(0),
        );
      }
    }
    bytes.push(0xff);
    return { type: 9, value: Uint8Array.from([...lengthOf(bytes.length), ...bytes]) };
  });
}

const text = () =>
  next() < 0.4 ? `${below(10 ** (1 + below(12)))}` : pick(['a', 'bb', 'field', 'x'.repeat(70), 'y'.repeat(200), `m${below(30)}`]);

async function madePayloads(client, count) {
  const payloads = [];
  await client.config('SET', 'rdbcompression', 'no');
  for (let i = 0; i < count; i++) {
    const small = next() < 0.6;
    for (const name of ['hash-max-listpack-entries', 'zset-max-listpack-entries', 'set-max-intset-entries'])
      await client.config('SET', name, small ? '128' : '1');
    await client.config('SET', 'list-max-listpack-size', `${pick([-2, 3, 8])}`);
    await client.config('SET', 'stream-node-max-entries', `${pick([100, 2, 4])}`);
    await client.del('k');
    const size = 1 + below(10);
    const many = (make) => Array.from({ length: size }, make).flat();
    const kind = below(6);
    if (kind === 0) await client.rpush('k', ...many(text));
    else if (kind === 1) await client.sadd('k', ...many(() => `${below(next() < 0.3 ? 2 ** 40 : 300)}`));
    else if (kind === 2) await client.sadd('k', ...many(text));
    else if (kind === 3) await client.zadd('k', ...many(() => [pick(['1', '2.5', '-7', 'inf', '1e300', `${below(1000)}`]), text()]));
    else if (kind === 4) await client.hset('k', ...many(() => [text(), text()]));
    else await makeStream(client, size);
    const payload = await client.dumpBuffer('k');
    if (payload !== null) payloads.push({ type: payload[0], value: payload.subarray(1, -10) });
  }
  return payloads;
}

async function makeStream(client, size) {
  for (let i = 1; i <= size; i++)
    await client.xadd(
      'k',
      `${i}-${below(3)}`,
      ...pick([
        ['f', text()],
        ['f', text(), 'g', text()],
        ['other', text()],
      ]),
    );
  for (let i = below(3); i > 0; i--) await client.xgroup('CREATE', 'k', `group ${i}`, pick(['0', '2', '$']));
  const groups = await client.xinfo('GROUPS', 'k');
  for (const group of groups) {
    for (const consumer of ['one', 'two']) await client.xreadgroup('GROUP', group[1], consumer, 'COUNT', 1 + below(3), 'STREAMS', 'k', '>');
  }
  if (next() < 0.5) await client.xdel('k', `${1 + below(size)}-0`, `${1 + below(size)}-1`);
}

// ---- spoiling

const BORDERS = [
  0x00, 0x01, 0x02, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xc1, 0xc3, 0xdf, 0xe0, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xfd, 0xfe, 0xff,
];

/** Where a change hits structure rather than text: elements that are long runs of one letter are passed over. */
function structural(value) {
  for (let tries = 0; tries < 20; tries++) {
    const at = below(value.length);
    if (value[at] !== value[at - 1] || value[at] !== value[at + 1]) return at;
  }
  return below(value.length);
}

function spoilt(healthy) {
  const value = Uint8Array.from(healthy);
  const at = structural(value);
  switch (below(6)) {
    case 0:
      value[at] ^= 1 << below(8);
      break;
    case 1:
      value[at] = value[at] + pick([1, -1, 2, -2]);
      break;
    case 2:
      value[at] = below(256);
      break;
    case 3: {
      // another place's bytes: elements that come twice
      const size = 1 + below(10);
      value.copyWithin(at, structural(value), at + size);
      break;
    }
    default:
      value[at] = pick(BORDERS);
  }
  return value;
}

// ---- the check

const check = new ValueCheck({ level: options.level });

/** Codes of what is found, empty for nothing. */
function found(payload) {
  try {
    const frame = payloadFrame(payload, parsePayload(payload));
    const framer = Framer.ofValue(frame, {});
    framer.push(payload.subarray(frame.start, frame.end));
    for (;;) {
      const kind = framer.next();
      if (kind === NEED) return ['TRUNCATED'];
      check.frame(kind, framer.frame);
      if (framer.frame.last) return check.findings.list.map(({ code }) => code);
    }
  } catch (error) {
    if (error instanceof RdbError) return [error.code];
    throw error;
  }
}

// ---- the server

class Server {
  async start() {
    this.folder = mkdtempSync(join(tmpdir(), 'rdbkit-check-'));
    const socket = join(this.folder, 's');
    this.child = spawn(
      options.server,
      [
        '--port',
        '0',
        '--unixsocket',
        socket,
        '--dir',
        this.folder,
        '--save',
        '',
        '--sanitize-dump-payload',
        options.sanitize,
        '--enable-debug-command',
        'yes',
      ],
      { stdio: 'ignore' },
    );
    this.dead = false;
    this.child.once('exit', () => (this.dead = true));
    this.client = new Redis(socket, {
      retryStrategy: (times) => (this.dead || times > 100 ? null : 30),
      maxRetriesPerRequest: 200,
      autoResendUnfulfilledCommands: false,
    });
    this.client.on('error', () => undefined);
    await this.client.ping();
  }

  async stop() {
    this.client.disconnect();
    if (!this.dead) {
      const gone = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const USES = {
  list: [
    ['LRANGE', 'k', 0, -1],
    ['LINDEX', 'k', -1],
    ['LPOS', 'k', 'a'],
    ['RPOP', 'k'],
    ['LPUSH', 'k', 'new'],
    ['LINSERT', 'k', 'BEFORE', 'bb', 'z'],
    ['LREM', 'k', -1, 'a'],
    ['LTRIM', 'k', 1, -2],
  ],
  set: [
    ['SMEMBERS', 'k'],
    ['SADD', 'k', '17', 'new'],
    ['SRANDMEMBER', 'k', 5],
    ['SPOP', 'k'],
    ['SREM', 'k', '17'],
  ],
  zset: [
    ['ZRANGE', 'k', 0, -1, 'WITHSCORES'],
    ['ZREVRANGE', 'k', 0, -1],
    ['ZADD', 'k', '3', 'new', 'nan?', '4'],
    ['ZADD', 'k', '3', 'new'],
    ['ZRANGEBYSCORE', 'k', '-inf', '+inf'],
    ['ZRANK', 'k', 'new'],
    ['ZPOPMIN', 'k'],
    ['ZREM', 'k', 'new'],
    ['ZADD', 'k', '1', 'l'.repeat(100)],
  ],
  hash: [
    ['HGETALL', 'k'],
    ['HSET', 'k', 'new', 'v'],
    ['HRANDFIELD', 'k', 5, 'WITHVALUES'],
    ['HDEL', 'k', 'field', 'a'],
    ['HSET', 'k', 'l', 'l'.repeat(100)],
  ],
  stream: [
    ['XRANGE', 'k', '-', '+'],
    ['XREVRANGE', 'k', '+', '-'],
    ['XINFO', 'STREAM', 'k', 'FULL'],
    ['XADD', 'k', '*', 'f', 'v'],
    ['XDEL', 'k', '1-0', '2-1'],
    ['XACK', 'k', 'group 1', '1-0', '1-1', '2-0'],
    ['XAUTOCLAIM', 'k', 'group 1', 'three', 0, 0],
    ['XGROUP', 'DELCONSUMER', 'k', 'group 1', 'one'],
    ['XTRIM', 'k', 'MAXLEN', 2],
    ['XGROUP', 'DESTROY', 'k', 'group 1'],
  ],
};
const TYPE_OF = {
  1: 'list',
  2: 'set',
  3: 'zset',
  4: 'hash',
  5: 'zset',
  9: 'hash',
  10: 'list',
  11: 'set',
  12: 'zset',
  13: 'hash',
  14: 'list',
  15: 'stream',
  16: 'hash',
  17: 'zset',
  18: 'list',
  19: 'stream',
};

/** 'taken', 'refused' or 'crash'; after it is taken, the key is used. */
async function given(server, type, payload) {
  const { client } = server;
  const reply = await client.call('RESTORE', 'k', 0, Buffer.from(payload), 'REPLACE').then(() => 'taken', (error) => `${error.message}`);
  if (reply === 'taken') {
    const use = [['DUMP', 'k'], ...USES[TYPE_OF[type]], ['DUMP', 'k'], ...(below(10) === 0 ? [['DEBUG', 'RELOAD']] : []), ['DEL', 'k']];
    await client.pipeline(use.map(([name, ...words]) => ['call', name, ...words])).exec().catch(() => undefined);
  }
  const alive = await client.ping().then(() => true, () => false);
  if (!alive || server.dead) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return 'crash';
  }
  return reply === 'taken' ? 'taken' : 'refused';
}

// ---- the campaign

let server = new Server();
await server.start();
const corpus = [...fixturePayloads(), ...zipmapPayloads(), ...(await madePayloads(server.client, 600))];
const byType =
  Map.groupBy === undefined
    ? corpus.reduce((map, one) => map.set(one.type, [...(map.get(one.type) ?? []), one]), new Map())
    : Map.groupBy(corpus, ({ type }) => type);
const types = [...byType.keys()].sort((a, b) => a - b);
const tally = {
  'healthy, found': 0,
  'healthy, refused': 0,
  'refused, found': 0,
  'refused, missed': 0,
  'taken, found': 0,
  'taken, passed': 0,
  'crash, found': 0,
  'crash, passed': 0,
};
const perType = new Map(types.map((type) => [type, { payloads: 0, refused: 0, missed: 0, crashes: 0 }]));
const shown = { 'refused, missed': 0, 'crash, passed': 0, 'crash, found': 0, 'healthy, found': 0, 'healthy, refused': 0 };
const stricter = new Map();

function say(what, type, payload, codes) {
  if (shown[what]++ < Number(options.show)) console.log(`${what}: type ${type} ${codes.join(' ')} ${Buffer.from(payload).toString('hex')}`);
}

for (const { type, value } of corpus) {
  const payload = encodePayload(type, value, VERSION);
  const codes = found(payload);
  const what = codes.length > 0 ? 'healthy, found' : 'healthy, refused';
  if (codes.length > 0 || (await given(server, type, payload)) !== 'taken') {
    tally[what]++;
    say(what, type, payload, codes);
  }
}

const count = Number(options.count);
for (let i = 0; i < count; i++) {
  const type = types[i % types.length];
  const payload = encodePayload(type, spoilt(pick(byType.get(type)).value), VERSION);
  const verdict = await given(server, type, payload);
  const codes = found(payload);
  const what = `${verdict}, ${codes.length > 0 ? 'found' : verdict === 'refused' ? 'missed' : 'passed'}`;
  tally[what]++;
  const row = perType.get(type);
  row.payloads++;
  if (verdict === 'refused') row.refused++;
  if (verdict === 'refused' && codes.length === 0) row.missed++;
  if (verdict === 'crash') row.crashes++;
  if (what in shown) say(what, type, payload, codes);
  if (what === 'taken, found') stricter.set(codes[0], (stricter.get(codes[0]) ?? 0) + 1);
  if (verdict === 'crash') {
    await server.stop();
    server = new Server();
    await server.start();
  }
}
await server.stop();

console.log(`${corpus.length} healthy payloads, ${count} spoilt ones`);
console.table(tally);
console.table(Object.fromEntries(perType));
console.log('found though the server takes it, by first code:', Object.fromEntries(stricter));
process.exitCode = tally['refused, missed'] + tally['crash, passed'] + tally['healthy, found'] > 0 ? 1 : 0;
