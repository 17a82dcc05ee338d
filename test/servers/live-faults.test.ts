import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { contentOf, differences, type FaultData, faultData } from '../support/fault-data.js';
import { randomFrom } from '../support/fault-proxy.js';
import { RedisNode } from '../support/redis-node.js';
import { type Trip, TripProxy } from '../support/trip-proxy.js';
import { until } from '../support/until.js';

const folder = new Folder();
const ROUNDS = Number(process.env.ROUNDS ?? 30);
const FIRST = Number(process.env.FIRST ?? 1);

let data: FaultData;
/** Lines of decode, sorted. */
let expected: string[];
let source: RedisNode;
let target: RedisNode;

const OPTIONS = ['--repl-diskless-sync-delay', '0', '--maxclients', '1000'];

beforeAll(async () => {
  data = await faultData(2000);
  [source, target] = await Promise.all([RedisNode.start(...OPTIONS), RedisNode.start()]);
  await load(source);
  expected = linesOf((await rdbkit(['decode', folder.file('source.rdb', data.rdb)])).out);
}, 60_000);

afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
  folder.remove();
});

async function load(node: RedisNode, rdb = data.rdb): Promise<void> {
  writeFileSync(join(node.folder, 'dump.rdb'), rdb);
  if (node.runs) await node.client.call('DEBUG', 'RELOAD', 'NOSAVE');
}

/** Lines of decode, sorted; the order of hashes and sets is another one in every process. */
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '').map(ordered).sort();

const keyOf = (line: string): string => /"key":(".*?"),/.exec(line)?.[1] ?? '';
const valueOf = (line: string): string => line.slice(line.indexOf('"value":'));

function ordered(line: string): string {
  const { type, value, ...rest } = JSON.parse(line) as { type: string; value: unknown };
  if (type === 'set') (value as unknown[]).sort();
  const fields = type === 'hash' ? Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1)) : value;
  return JSON.stringify({ type, ...rest, value: fields });
}

const COMMANDS = ['decode', 'dump', 'inspect', 'restore'] as const;
const WAYS = ['replication', 'scan'] as const;

interface Fault {
  /** What the source may lack afterwards, without an error. */
  readonly loses?: boolean;
  readonly trip: (random: () => number) => Trip;
}

const same = (work: () => Promise<unknown>): Trip => async (piece) => {
  await work();
  return { bytes: piece };
};

const FAULTS: Readonly<Record<string, Fault>> = {
  killed: { trip: () => same(() => source.kill()) },
  restarted: {
    trip: () => same(async () => {
      await source.kill();
      await source.restart();
    }),
  },
  'restarted without data': {
    loses: true,
    trip: () => same(async () => {
      await source.kill();
      rmSync(join(source.folder, 'dump.rdb'));
      await source.restart();
    }),
  },
  paused: {
    trip: () => same(async () => {
      source.signal('SIGSTOP');
      await delay(700);
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
    trip: (random) => (piece, at) => {
      piece[at] ^= 1 << Math.floor(random() * 8);
      return { bytes: piece };
    },
  },
  'clients killed': { trip: () => same(() => Promise.all([source.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'), source.client.call('CLIENT', 'KILL', 'TYPE', 'replica')])) },
  'no more clients': { trip: () => same(() => source.client.config('SET', 'maxclients', '1')) },
  password: { trip: () => same(async () => {
      await source.client.config('SET', 'requirepass', 'new');
      await source.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  }) },
  flushed: { loses: true, trip: () => same(() => source.client.flushall()) },
  swapped: { loses: true, trip: () => same(() => source.client.swapdb(0, 1)) },
};

function pick<T>(random: () => number, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)];
}

async function setup(): Promise<void> {
  if (!source.runs) await source.restart();
  await source.client.config('SET', 'requirepass', '').catch(() => undefined);
  await source.client.config('SET', 'maxclients', '1000');
  await until('it has loaded its data', async () => (await source.client.flushall().catch(() => '')) === 'OK');
  await load(source);
  await target.client.flushall();
}

const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;

describe('a source that is lost, or goes wrong, while it is read', () => {
  const seen: string[] = [];
  afterAll(() => { if (process.env.SHOW) writeFileSync(process.env.SHOW, seen.join('\n')); });
  test.each(Array.from({ length: ROUNDS }, (_, i) => FIRST + i))('round %d', { timeout: 60_000 }, async (round) => {
    const random = randomFrom(round);
    const command = pick(random, COMMANDS);
    const way = pick(random, WAYS);
    const name = process.env.FAULT ?? pick(random, Object.keys(FAULTS));
    const fault = FAULTS[name];
    const after = Math.floor(random() * (random() < 0.2 ? 20_000 : 16_000_000));
    const toFile = random() < 0.5;
    await setup();
    await source.client.config('SET', 'repl-diskless-sync', pick(random, ['yes', 'no']));
    const retry = pick(random, ['100ms', '1s', '2s']);
    const before = sockets();
    const proxy = await TripProxy.start(source.port, after, fault.trip(random));
    const what = `${round}: ${command} --via ${way} ${toFile ? 'file' : 'stdout'} --retry-for ${retry}, ${name} after ${after}`;
    const output = folder.at(`round-${round}`);
    let result: Result;
    const started = Date.now();
    try {
      const argv = [command, proxy.url, '--via', way, '--retry-for', retry];
      if (command === 'restore') argv.push(target.url);
      if (toFile && (command === 'decode' || command === 'dump')) argv.push('--output', output);
      if (command === 'inspect') argv.push('--json');
      result = await rdbkit(argv);
      await until('its connections are closed', () => proxy.open === 0, 4000).catch((e) => { throw new Error(`${what}: ${String(e)}`) });
    } finally {
      proxy.stop();
    }
    const { code, err } = result;
    // keys, expiries and cursors have no checksum of their own
    const valuesOnly = way === 'scan' && name === 'flipped';
    const seconds = (Date.now() - started) / 1000;
    seen.push(`${what} -> ${code} ${proxy.tripped ? '' : '(never) '}${seconds.toFixed(1)}s ${code === 0 && !process.env.SHOW0 ? '' : err.split('\n').filter((l) => !/^rdbkit:( source|   )/.test(l) && l !== '').slice(0,4).join(' | ').slice(0, 600)}`);
    expect([0, 1, 3, 4], `${what}\n${err}`).toContain(code);
    await until('sockets are closed', () => sockets() <= before, 4000).catch((e) => { throw new Error(`${what}: ${String(e)}: ${sockets()} ${before}`) });
    const left = readdirSync(folder.path).filter((file) => file.startsWith(`round-${round}`));
    if (code === 0) {
      if (fault.loses !== true) expect(await wrong(command, toFile ? output : undefined, result, valuesOnly), `${what}\n${err}`).toEqual([]);
      if (toFile && (command === 'decode' || command === 'dump')) expect(left, what).toEqual([`round-${round}`]);
    } else {
      expect(err, what).toMatch(command === 'inspect' ? /"code":"[A-Z_]+"/ : /^rdbkit: [A-Z_]+: |^rdbkit: warning: /m);
      if (code !== 1) expect(existsSync(output), what).toBe(false);
      if (code !== 1) {
        expect(left.every((file) => file.endsWith('.partial')), `${what}: ${left.join()}`).toBe(true);
        for (const file of left) expect(err, what).toContain(file);
      } else if (fault.loses !== true) expect(await wrong(command, toFile ? output : undefined, result, valuesOnly), `${what}\n${err}`).toEqual([]);
    }
    for (const file of left) rmSync(folder.at(file));
  });
});

async function wrong(command: (typeof COMMANDS)[number], output: string | undefined, result: Result, valuesOnly: boolean): Promise<string[]> {
  if (valuesOnly && (command === 'restore' || command === 'inspect')) return [];
  if (command === 'restore') return differences(await contentOf([target.client]), data.content).slice(0, 5);
  if (command === 'inspect') {
    const keys = /"keysRead":(\d+)/.exec(result.err)?.[1] ?? /"keys":(\d+)/.exec(result.out)?.[1];
    return Number(keys) === expected.length ? [] : [`${keys} keys: ${result.out.slice(0, 500)} ${result.err.slice(0, 500)}`];
  }
  let text = output === undefined ? result.out : command === 'decode' ? readFileSync(output, 'utf8') : '';
  if (command === 'dump') {
    if (output === undefined) return [];
    const decoded = await rdbkit(['decode', output]);
    if (decoded.code !== 0) return [decoded.err];
    text = decoded.out;
  }
  const got = linesOf(text);
  const there = new Set(got);
  const wanted = new Set(expected);
  if (valuesOnly) {
    const values = new Map(expected.map((line) => [keyOf(line), valueOf(line)]));
    return got.filter((line) => values.get(keyOf(line)) !== valueOf(line)).map((line) => `other value ${line.slice(0, 100)}`);
  }
  return [...expected.filter((line) => !there.has(line)).map((line) => `missing ${line.slice(0, 100)}`), ...got.filter((line) => !wanted.has(line)).map((line) => `extra ${line.slice(0, 100)}`), ...(got.length === expected.length ? [] : [`${got.length} lines`])].slice(0, 5);
}
