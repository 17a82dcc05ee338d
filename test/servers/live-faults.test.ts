import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { thinned } from '../support/factor.js';
import { contentOf, differences, type FaultData, faultData } from '../support/fault-data.js';
import { randomFrom } from '../support/fault-proxy.js';
import { RedisNode } from '../support/redis-node.js';
import { type Trip, TripProxy } from '../support/trip-proxy.js';
import { until } from '../support/until.js';

const ROUNDS = 30;

const folder = new Folder();
let data: FaultData;
/** What decode writes of it. */
let expected: string[];
let source: RedisNode;
let target: RedisNode;

beforeAll(async () => {
  data = await faultData(1500);
  [source, target] = await Promise.all([RedisNode.start('--repl-diskless-sync-delay', '0'), RedisNode.start()]);
  expected = linesOf((await rdbkit(['decode', folder.file('source.rdb', data.rdb)])).out);
});

afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
  folder.remove();
});

/** The servers as they were before the first fault. */
beforeEach(async () => {
  if (!source.runs) await source.restart();
  const { client } = source;
  await until('it has loaded its data', async () => (await client.ping().catch(() => '')) === 'PONG');
  await client.config('SET', 'requirepass', '', 'maxclients', '1000');
  await client.flushall();
  await target.client.flushall();
  writeFileSync(join(source.folder, 'dump.rdb'), data.rdb);
  await client.call('DEBUG', 'RELOAD', 'NOSAVE');
});

/** Lines of decode in any order; that of hashes and sets is another one in every process. */
const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(ordered)
    .sort();

function ordered(line: string): string {
  const { type, value, ...rest } = JSON.parse(line) as { type: string; value: Record<string, unknown> };
  const inOrder =
    type === 'set' || type === 'hash'
      ? Object.entries(value)
          .map(([field, item]) => (type === 'set' ? String(item) : `${field}=${String(item)}`))
          .sort()
      : value;
  return JSON.stringify({ ...rest, type, value: inOrder });
}

const keyOf = (line: string): string => /"key":(".*?"),"type"/.exec(line.replace(/"expireAt":\d+,/, ''))?.[1] ?? '';
const valueOf = (line: string): string => line.slice(line.indexOf('"type":'));

interface Fault {
  /** Whether the source has lost keys by itself. */
  readonly loses?: boolean;
  readonly trip: (random: () => number) => Trip;
}

/** What happens to the server while the bytes wait; then they are passed on as they are. */
const meanwhile =
  (work: () => Promise<unknown>): Fault['trip'] =>
  () =>
  async (bytes) => {
    await work();
    return { bytes };
  };

const FAULTS: Readonly<Record<string, Fault>> = {
  killed: { trip: meanwhile(() => source.kill()) },
  restarted: {
    trip: meanwhile(async () => {
      await source.kill();
      await source.restart();
    }),
  },
  'restarted without data': {
    loses: true,
    trip: meanwhile(async () => {
      await source.kill();
      rmSync(join(source.folder, 'dump.rdb'));
      await source.restart();
    }),
  },
  paused: {
    trip: meanwhile(async () => {
      source.signal('SIGSTOP');
      await delay(300);
      source.signal('SIGCONT');
    }),
  },
  cut: { trip: () => (piece, at) => ({ bytes: piece.subarray(0, at), last: true }) },
  garbage: {
    trip: (random) => (piece, at) => {
      const noise = Buffer.from(Array.from({ length: Math.min(64, piece.length - at) }, () => Math.floor(random() * 256)));
      return { bytes: Buffer.concat([piece.subarray(0, at), noise, piece.subarray(at + noise.length)]) };
    },
  },
  flipped: {
    trip: (random) => (bytes, at) => {
      bytes[at] ^= 1 << Math.floor(random() * 8);
      return { bytes };
    },
  },
  'without its clients': {
    trip: meanwhile(async () => {
      await source.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await source.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
    }),
  },
  'full of clients': { trip: meanwhile(() => source.client.config('SET', 'maxclients', '1')) },
  'under another password': {
    trip: meanwhile(async () => {
      await source.client.config('SET', 'requirepass', 'other');
      await source.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    }),
  },
  flushed: { loses: true, trip: meanwhile(() => source.client.flushall()) },
  swapped: { loses: true, trip: meanwhile(() => source.client.swapdb(0, 1)) },
};

const pick = <T>(random: () => number, all: readonly T[]): T => all[Math.floor(random() * all.length)];

interface Round {
  readonly seed: number;
  readonly what: string;
  readonly command: string;
  readonly way: string;
  readonly name: string;
  /** Bytes that the server sends before it happens. */
  readonly after: number;
  readonly output: string | undefined;
  readonly diskless: string;
  readonly random: () => number;
}

function roundOf(seed: number): Round {
  const random = randomFrom(seed);
  const command = pick(random, ['decode', 'dump', 'inspect', 'restore']);
  const way = pick(random, ['replication', 'scan']);
  const name = pick(random, Object.keys(FAULTS));
  const after = Math.floor(random() * (random() < 0.3 ? 20_000 : 13_000_000));
  const output = (command === 'decode' || command === 'dump') && random() < 0.7 ? folder.at(`round-${seed}`) : undefined;
  const diskless = pick(random, ['yes', 'no']);
  return { seed, what: `${command} --via ${way}, ${name} after ${after} bytes`, command, way, name, after, output, diskless, random };
}

/** Sockets of this process. */
const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;

/** Runs a command on the source by way of a proxy; nothing of it is left open. */
async function run({ after, command, diskless, name, output, random, way }: Round): Promise<Result> {
  await source.client.config('SET', 'repl-diskless-sync', diskless);
  const before = sockets();
  const proxy = await TripProxy.start(source.port, after, FAULTS[name].trip(random));
  try {
    const more = { restore: [target.url], inspect: ['--json'] }[command] ?? [];
    const result = await rdbkit([
      command,
      proxy.url,
      ...more,
      '--via',
      way,
      '--retry-for',
      '500ms',
      ...(output === undefined ? [] : ['--output', output]),
    ]);
    await until('its connections are closed', () => proxy.open === 0);
    return result;
  } finally {
    proxy.stop();
    await proxy.happened; // a server that two start would stay, and be in everybody's way
    await until('all sockets are closed', () => sockets() <= before);
  }
}

describe('a source that goes wrong while it is read', () => {
  test.each(thinned(Array.from({ length: ROUNDS }, (_, i) => roundOf(i + 1))))('round $seed: $what', async (round) => {
    const { command, name, output, seed, way } = round;
    const result = await run(round);
    const { code, err } = result;
    expect([0, 1, 3, 4], err).toContain(code);
    const left = readdirSync(folder.path).filter((file) => file.startsWith(`round-${seed}`));
    if (code === 0 || code === 1) {
      expect(left).toEqual(output === undefined ? [] : [`round-${seed}`]);
      if (code === 1) expect(err).toMatch(command === 'inspect' ? /"gaps":\["/ : /warning: .*(may be missing|could not be read)/);
      // keys, expiries and cursors have no checksum: only values are sure
      const onlyValues = way === 'scan' && (name === 'flipped' || name === 'garbage');
      if (FAULTS[name].loses !== true) expect(await wrong(command, output, result, onlyValues), err).toEqual([]);
    } else {
      expect(err).toMatch(command === 'inspect' ? /"code":"[A-Z_]+"/ : /^rdbkit: [A-Z_]+: /m);
      expect(left.filter((file) => !file.endsWith('.partial'))).toEqual([]);
      for (const file of left) expect(err).toContain(file);
      expect(output !== undefined && existsSync(output)).toBe(false);
    }
    for (const file of left) rmSync(folder.at(file));
  });
});

/** What a command that has succeeded got wrong: the first few. */
async function wrong(command: string, output: string | undefined, { err, out }: Result, onlyValues: boolean): Promise<string[]> {
  if (command === 'restore') return onlyValues ? [] : differences(await contentOf([target.client]), data.content).slice(0, 5);
  if (command === 'inspect') {
    const keys = Number(/"keysRead":(\d+)/.exec(err)?.[1]);
    return onlyValues || keys === expected.length ? [] : [`${keys} keys`];
  }
  if (command === 'dump' && output === undefined) return [];
  const text =
    command === 'dump' ? (await rdbkit(['decode', String(output)])).out : output === undefined ? out : readFileSync(output, 'utf8');
  const lines = linesOf(text);
  const [there, wanted] = [new Set(lines), new Set(expected)];
  const values = new Map(expected.map((line) => [keyOf(line), valueOf(line)]));
  const all = onlyValues
    ? lines.filter((line) => values.get(keyOf(line)) !== valueOf(line)).map((line) => `value of ${line}`)
    : [
        ...expected.filter((line) => !there.has(line)).map((line) => `missing ${line}`),
        ...lines.filter((line) => !wanted.has(line)).map((line) => `extra ${line}`),
        ...(lines.length === expected.length ? [] : [`${lines.length} lines`]),
      ];
  return all.slice(0, 5).map((line) => line.slice(0, 100));
}
