import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChainableCommander } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { openSocket } from '../../src/redis/connect.js';
import { ReplicationLink } from '../../src/redis/replication.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { Folder, type Line, rdbkit } from '../support/cli-support.js';
import { randomFrom } from '../support/fault-proxy.js';
import { RedisNode } from '../support/redis-node.js';
import { decodeBytes } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

/** Writes without an end: one pipeline after another, about 5000 commands a second on a slow machine. */
class Writers {
  private stopped = false;
  batches = 0;
  private readonly running: Promise<void>;

  constructor(node: RedisNode, write: (pipeline: ChainableCommander, batch: number) => void) {
    this.running = this.run(node, write);
  }

  private async run({ client }: RedisNode, write: (pipeline: ChainableCommander, batch: number) => void): Promise<void> {
    for (; !this.stopped; this.batches++) {
      const pipeline = client.pipeline();
      write(pipeline, this.batches);
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null && !/no such key/.test(error.message)) throw error;
      await delay(5);
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }
}

type Row = Line & { value: string };
const rowsOf = (text: string): Row[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);

const PAIRS = 500;

/** Keys that make the RDB take a while. */
async function fill({ client }: RedisNode, count: number): Promise<void> {
  for (let from = 0; from < count; from += 5000) {
    const pipeline = client.pipeline();
    for (let i = from; i < Math.min(count, from + 5000); i++) pipeline.set(`still:${i}`, `still:${i}`);
    await pipeline.exec();
  }
}

describe('replication, while keys are written', () => {
  test.concurrent.each(['yes', 'no'])('is the state at its offset, to the write: repl-diskless-sync %s', async (diskless) => {
    const node = await RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-diskless-sync', diskless, '--repl-backlog-size', '64mb');
    const random = randomFrom(diskless.length);
    const writers = new Writers(node, (pipeline) => {
      for (let n = 0; n < 10; n++) {
        const i = Math.floor(random() * PAIRS);
        pipeline.call('MULTI').incr(`a:${i}`).incr(`b:${i}`).incr('sequence').set('last', `${i}`).call('EXEC');
      }
    });
    try {
      await fill(node, 20_000);
      await node.client.config('SET', 'rdb-key-save-delay', '25');
      const output = folder.at(`${diskless}.rdb`);
      const begun = writers.batches;
      const { code, err } = await rdbkit(['dump', node.url, '--via', 'replication', '--output', output]);
      expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
      expect(writers.batches - begun).toBeGreaterThan(10); // it was written meanwhile
      await delay(100);
      await writers.stop();
      const { lines } = await decodeBytes(new Uint8Array(readFileSync(output)), { meta: true });
      const state = new Map(
        rowsOf(lines)
          .filter((row) => 'key' in row && row.type === 'string')
          .map(({ key, value }) => [key, value]),
      );
      const counts = (name: string): number[] => Array.from({ length: PAIRS }, (_, i) => Number(state.get(`${name}:${i}`) ?? 0));
      const sum = counts('a').reduce((all, count) => all + count, 0);
      expect(counts('b')).toEqual(counts('a'));
      expect(Number(state.get('sequence'))).toBe(sum);
      const id = /"repl-id","value":"(\w+)"/.exec(lines)?.[1] ?? '';
      const offset = Number(/"repl-offset","value":"(\d+)"/.exec(lines)?.[1]);
      expect(await applied(node, id, offset, state)).toBeGreaterThan(0);
      const keys = await node.client.keys('*');
      const values = await node.client.mget(keys);
      expect([...state].sort()).toEqual(keys.map((key, i) => [key, values[i]]).sort());
    } finally {
      await writers.stop();
      await node.stop();
    }
  });
});

/** Applies the writes after an offset to a state, up to those that the server has now. Returns how many there were. */
async function applied(node: RedisNode, id: string, offset: number, state: Map<string, string>): Promise<number> {
  const { socket } = await openSocket({ url: parseServerUrl(node.url) });
  const link = await ReplicationLink.from(socket, id, offset, { name: node.name });
  if (link === undefined) throw new Error('the server does not go on from there');
  const end = Number(/master_repl_offset:(\d+)/.exec(await node.client.info('replication'))?.[1]);
  let text = '';
  for await (const chunk of link.commands()) {
    text += Buffer.from(chunk.bytes).toString('latin1');
    if (chunk.offset >= end) break;
  }
  let writes = 0;
  for (const [, body] of text.matchAll(/\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/g)) {
    const [command, key, value] = [...body.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, word]) => word);
    const name = command.toUpperCase();
    if (name === 'INCR') state.set(key, String(Number(state.get(key) ?? 0) + 1));
    else if (name === 'SET') state.set(key, value);
    else if (!['SELECT', 'MULTI', 'EXEC', 'PING', 'REPLCONF'].includes(name)) throw new Error(`a command that nobody sent: ${name}`);
    if (name === 'INCR' || name === 'SET') writes++;
  }
  return writes;
}

describe('scan, while keys are written', () => {
  test.concurrent('misses no key that is there all the time, invents none, and gives none twice', async () => {
    const node = await RedisNode.start();
    const random = randomFrom(7);
    const some = (most: number): number => Math.floor(random() * most);
    try {
      await fill(node, 5000);
      const writers = new Writers(node, (pipeline, batch) => {
        // the table of keys grows to ten times its size and shrinks again, every 400 batches
        const grows = batch % 400 < 200;
        for (let n = 0; n < 250; n++) {
          const name = `noise:${some(50_000)}`;
          if (grows) pipeline.set(name, name);
          else pipeline.del(name, `noise:${some(50_000)}`, `renamed:${some(50_000)}`);
        }
        for (let n = 0; n < 10; n++) {
          const i = some(50_000);
          pipeline.set(`short:${i}`, `short:${i}`, 'PX', 1 + some(50)).rename(`noise:${i}`, `renamed:${i}`);
        }
        if (batch % 50 === 0) pipeline.select(5).mset('other', 'other', `other:${batch}`, 'other').flushdb().select(0);
      });
      try {
        for (let time = 0; time < 6; time++) {
          const begun = writers.batches;
          const { code, err, out } = await rdbkit(['decode', node.url, '--via', 'scan', '--db', '0', '--scan-count', '50']);
          expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
          expect(writers.batches).toBeGreaterThan(begun + 10);
          const rows = rowsOf(out);
          const keys = rows.map(({ key }) => key);
          expect(new Set(keys).size).toBe(keys.length);
          expect(keys.filter((key) => key.startsWith('still:')).sort()).toEqual(
            Array.from({ length: 5000 }, (_, i) => `still:${i}`).sort(),
          );
          const strange = rows.filter(
            ({ key, value }) => value !== key.replace('renamed', 'noise') || !/^(?:still|noise|renamed|short):\d+$/.test(key),
          );
          expect(strange).toEqual([]);
        }
      } finally {
        await writers.stop();
      }
    } finally {
      await node.stop();
    }
  });

  test.concurrent('gives no value with an expiry that is older, and none without that always had one', async () => {
    const node = await RedisNode.start();
    const random = randomFrom(8);
    const FAR = 4_102_444_800_000;
    const KEYS = 20;
    // so long that the server reads the questions for few keys at a time, and writes come between those for one key
    const name = (kind: string, i: number): string => `${kind}:${i}:${'x'.repeat(2000)}`;
    let clock = 0;
    const states = Array<number>(KEYS).fill(0);
    const write = (pipeline: ChainableCommander): void => {
      for (let n = 0; n < 200; n++) {
        const i = Math.floor(random() * KEYS);
        const fleeting = name('fleeting', i);
        pipeline.set(name('always', i), ++clock, 'PXAT', FAR + clock);
        if (states[i] === 0) {
          states[i] = clock;
          pipeline.set(fleeting, `set ${clock}`, 'PXAT', FAR + clock);
        } else {
          pipeline.persist(fleeting).set(fleeting, `kept ${states[i]}`);
          states[i] = 0;
        }
      }
    };
    try {
      const first = node.client.pipeline();
      for (let i = 0; i < KEYS; i++) {
        first.set(name('always', i), 0, 'PXAT', FAR).set(name('fleeting', i), 'kept 0');
        first.set(name('persisted', i), 'x', 'PXAT', FAR).persist(name('persisted', i));
      }
      await first.exec();
      const writers = new Writers(node, write);
      try {
        for (let time = 0; time < 30; time++) {
          const { code, err, out } = await rdbkit(['decode', node.url, '--via', 'scan', '--scan-count', '10']);
          expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
          const rows = rowsOf(out);
          expect(rows.length).toBe(3 * KEYS);
          const wrong = rows.filter(({ expireAt, key, value }) => {
            if (key.startsWith('persisted:')) return expireAt !== undefined;
            if (key.startsWith('always:')) return expireAt === undefined || expireAt < FAR + Number(value);
            const [how, time] = value.split(' ');
            return expireAt !== undefined && expireAt < FAR + Number(time) + (how === 'kept' ? 1 : 0);
          });
          expect(wrong.map(({ expireAt, key, value }) => ({ expireAt, key: key.slice(0, 20), value }))).toEqual([]);
        }
      } finally {
        await writers.stop();
      }
    } finally {
      await node.stop();
    }
  });
});
