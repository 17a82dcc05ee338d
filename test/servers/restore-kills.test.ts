import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { contentOf, differences, type FaultData, faultData } from '../support/fault-data.js';
import { randomFrom } from '../support/fault-proxy.js';
import { BIN, collect, type Ended } from '../support/processes.js';
import { RedisNode } from '../support/redis-node.js';
import { callsOf } from '../support/restore-support.js';
import { until } from '../support/until.js';

const folder = new Folder();
let data: FaultData;
let source: string;

beforeAll(async () => {
  data = await faultData(6000, false);
  source = folder.file('source.rdb', data.rdb);
});

afterAll(() => folder.remove());

interface Summary {
  exitCode: number;
  keysRestored: number;
  keysReplaced: number;
  keysSkipped: number;
  keysRejected: number;
  resumed: boolean;
}

const run = (argv: readonly string[]): Promise<Ended> => collect(spawn(process.execPath, [BIN, 'restore', ...argv, '--json']));

/** Runs the built program, and ends it so many milliseconds after it has connected, or has written something. */
async function runUntil(
  server: RedisNode,
  argv: readonly string[],
  after: 'connecting' | 'writing',
  when: number,
  signal: NodeJS.Signals,
): Promise<Ended> {
  const before = await callsOf(server.client, 'restore');
  const child = spawn(process.execPath, [BIN, 'restore', ...argv, '--json']);
  const ended = collect(child);
  const begun = async (): Promise<boolean> =>
    after === 'writing'
      ? (await callsOf(server.client, 'restore')) > before
      : String(await server.client.client('LIST')).includes('name=rdbkit');
  await until(`it is ${after}`, async () => child.exitCode !== null || (await begun()));
  await Promise.race([ended, delay(when)]);
  child.kill(signal);
  return ended;
}

const summaryOf = ({ err }: Ended): Summary => JSON.parse(err.trim().split('\n').at(-1) ?? '') as Summary;

/** Milliseconds that the program has at the most. */
const LIFE = 300;
const ROUNDS = 27;

describe('a restore that is killed and started again', () => {
  test.concurrent.each(['replace', 'error'])(`${ROUNDS} times at random moments: --on-conflict %s`, async (conflict) => {
    const server = await RedisNode.start();
    const checkpoint = folder.at(`${conflict}.json`);
    const rejects = folder.at(`${conflict}.jsonl`);
    const argv = [source, server.url, '--checkpoint', checkpoint, '--rejects', rejects, '--on-conflict', conflict, '--max-payload', '1kb'];
    const random = randomFrom(conflict.length);
    try {
      let kills = 0;
      let interruptions = 0;
      let inTheMiddle = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const signal = random() < 0.3 ? 'SIGINT' : 'SIGKILL';
        const after = round % 3 === 2 ? 'connecting' : 'writing';
        const ended = await runUntil(server, [...argv, '--max-keys-per-second', '1000'], after, random() * LIFE, signal);
        expect(ended.code === 0, `round ${round} ended early: ${ended.err}`).toBe(false);
        if (ended.signal === 'SIGKILL') kills++;
        else {
          expect(ended, ended.err).toMatchObject({ code: 130 });
          interruptions++;
        }
        const there = await server.client.dbsize();
        if (there > 0 && there < data.content.size) inTheMiddle++;
      }
      expect(kills).toBeGreaterThan(ROUNDS / 2);
      expect(interruptions).toBeGreaterThan(2);
      expect(inTheMiddle).toBeGreaterThan(ROUNDS / 2);
      const last = await run(argv);
      expect(last, last.err).toMatchObject({ code: 0 });
      expect(summaryOf(last)).toMatchObject({
        keysRestored: data.content.size,
        keysReplaced: 0,
        keysSkipped: 0,
        keysRejected: 0,
        resumed: true,
      });
      expect(differences(await contentOf([server.client]), data.content)).toEqual([]);
      expect(readFileSync(rejects, 'utf8')).toBe('');
      const again = await run(argv);
      expect(again.code).toBe(0);
      expect(summaryOf(again)).toMatchObject({ finished: true, keysRestored: data.content.size });
    } finally {
      await server.stop();
    }
  });
});

describe('a checkpoint', () => {
  let server: RedisNode;
  let other: RedisNode;
  const checkpoint = folder.at('checkpoint.json');

  beforeAll(async () => {
    [server, other] = await Promise.all([RedisNode.start(), RedisNode.start()]);
    const ended = await runUntil(
      server,
      [source, server.url, '--checkpoint', checkpoint, '--max-keys-per-second', '500'],
      'writing',
      1000,
      'SIGINT',
    );
    expect(ended, ended.err).toMatchObject({ code: 130 });
    expect(existsSync(checkpoint)).toBe(true);
  });

  afterAll(() => Promise.all([server.stop(), other.stop()]));

  const refusal = async (argv: readonly string[]): Promise<string> => {
    const before = readFileSync(checkpoint, 'utf8');
    const ended = await run([...argv, '--checkpoint', checkpoint]);
    expect(ended.code).toBe(2);
    expect(readFileSync(checkpoint, 'utf8')).toBe(before);
    expect(await other.client.dbsize()).toBe(0);
    return ended.err;
  };

  test('is not for another source', async () => {
    const changed = folder.file('changed.rdb', Buffer.concat([data.rdb, Buffer.from('x')]));
    expect(await refusal([changed, server.url])).toContain('is not the one that it was made for');
    rmSync(changed);
  });

  test('is not for more sources', async () => {
    expect(await refusal([source, source, server.url])).toContain('it is for 1 sources, and 2 are given');
  });

  test('is not for another target', async () => {
    expect(await refusal([source, other.url])).toContain(`it is for another target: ${server.url}`);
  });

  test('is not for other options', async () => {
    expect(await refusal([source, server.url, '--on-conflict', 'replace'])).toContain(
      'it was made with --on-conflict error, which is replace now: use the same options',
    );
    expect(await refusal([source, server.url, '--prefix', 'string:'])).toContain('it was made without --prefix: use the same options');
  });

  test('knows that a server was restarted between two runs', async () => {
    await server.kill();
    await server.restart();
    const ended = await run([source, server.url, '--checkpoint', checkpoint]);
    expect(ended, ended.err).toMatchObject({ code: 0 });
    expect(summaryOf(ended)).toMatchObject({ keysRestored: data.content.size, keysRejected: 0, resumed: true });
    expect(differences(await contentOf([server.client]), data.content)).toEqual([]);
  });
});
