import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/exit.js';
import { aborted, Collector, rdbkit, type Result } from '../support/cli-support.js';
import { RedisNode } from '../support/redis-node.js';

let source: RedisNode;
let target: RedisNode;

beforeAll(async () => {
  const start = (): Promise<RedisNode> => RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '16kb');
  [source, target] = await Promise.all([start(), start()]);
});
beforeEach(async () => {
  await Promise.all([source.client.flushall(), target.client.flushall()]);
  await source.client.mset('a', '1', 'b', '2');
  await source.client.set('c', '3', 'EX', 1000);
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

type World = Parameters<typeof rdbkit>[1];

const sync = (argv: readonly string[] = [], world?: World): Promise<Result> =>
  rdbkit(['sync', source.url, target.url, '--spool', 'none', ...argv], world);
const untilCaughtUp = (...argv: string[]): Promise<Result> => sync(['--until', 'caught-up', '--settle', '200ms', ...argv]);

/** More than the backlog of the source keeps. */
const writeMuch = async (): Promise<unknown> => source.client.set('big', 'x'.repeat(100_000));

/** Somebody at a terminal who answers questions. */
function terminal(answer: string): { stdin: Readable; stderr: Collector } {
  const stdin = Object.assign(Readable.from([`${answer}\n`]), { isTTY: true });
  return { stdin, stderr: Object.assign(new Collector(), { isTTY: true }) };
}

async function untilSays(stderr: Collector, text: string): Promise<void> {
  while (!stderr.text.includes(text)) await delay(10);
}

describe('a sync from beginning to end', () => {
  test('a dry run shows the plan and writes nothing', async () => {
    const { code, err } = await sync(['--dry-run']);
    expect(err.split('\n')).toEqual([
      expect.stringMatching(/^rdbkit: source redis:.*: Redis .*, one server, 3 keys, .*; read by replication$/),
      ...Array<unknown>(2).fill(expect.stringMatching(/^rdbkit: {3}/)),
      expect.stringMatching(/^rdbkit: target 127\.0\.0\.1:\d+: Redis .*, one server, 16 databases, 0 keys$/),
      'rdbkit: a full copy, then every write since, until stopped',
      expect.stringMatching(/^rdbkit: spool: none, so a run that is killed/),
      'rdbkit: each write is applied once: it is in one transaction with its position',
      expect.stringMatching(/^rdbkit: expiries are held/),
      expect.stringMatching(/^rdbkit: warning: backlog, repl-backlog-size: 16\.4 kB, .*: less than the default of a server\. CONFIG SET /),
      'rdbkit: dry run: nothing was written.',
      '',
    ]);
    expect([code, await target.client.dbsize()]).toEqual([0, 0]);
  });

  test('it catches up, goes on, and a dry run says that it would', async () => {
    const first = await untilCaughtUp();
    expect([first.code, first.out]).toEqual([0, '']);
    expect(first.err).toMatch(/^rdbkit: full copy: 3 keys restored; /m);
    expect(first.err).toMatch(/^rdbkit: caught up with redis:.*: offset [\d,]+$/m);
    expect(first.err).toMatch(/^rdbkit: 1 held expiry released$/m);
    expect(first.err).toMatch(/^rdbkit: next: to switch over, add --pause-source 30s/m);
    expect(await target.client.mget('a', 'b', 'c')).toEqual(['1', '2', '3']);
    expect(await target.client.pttl('c')).toBeLessThanOrEqual(1_000_000);

    await source.client.incr('a');
    const dry = await sync(['--dry-run']);
    expect(dry.code).toBe(0);
    expect(dry.err).toMatch(
      /^rdbkit: no full copy: going on where an earlier run ended, until stopped\nrdbkit: {3}redis:.* from offset [\d,]+\n/,
    );
    expect(dry.err).toMatch(/rdbkit: dry run: nothing was written\.\n$/);
    expect(await target.client.get('a')).toBe('1');

    const again = await untilCaughtUp();
    expect(again.code).toBe(0);
    expect(again.err).not.toContain('full copy:\n');
    expect(again.err).toMatch(/^rdbkit: expiries had been released: 1 is held again/m);
    expect(again.err).toMatch(/^rdbkit: changes: 1 command of the source, 1 older than a fetched value, 1 key fetched$/m);
    expect(await target.client.get('a')).toBe('2');
  });

  test('SIGTERM ends it at a clean position, from which the same command goes on', async () => {
    const [stop, stderr] = [new AbortController(), new Collector()];
    const running = sync([], { signal: stop.signal, stderr });
    await untilSays(stderr, 'the full copy is done');
    await source.client.incr('b');
    while ((await target.client.get('b')) !== '3') await delay(10);
    stop.abort(new Interruption('SIGTERM'));
    const { code, err } = await running;
    expect(code).toBe(143);
    expect(err).toContain('rdbkit: SIGTERM: applying what was received; once more ends at once');
    expect(err).toMatch(
      /^rdbkit: interrupted by SIGTERM\. All.* that was received is applied\. Expiries .* Run the same command again to go on\.$/m,
    );
    expect(err).toMatch(/^rdbkit: position of redis:.*: offset [\d,]+/m);
    await source.client.incr('b');
    expect((await untilCaughtUp()).err).toContain('rdbkit: no full copy');
    expect(await target.client.get('b')).toBe('4');
  });

  test('a signal before the full copy is complete', async () => {
    const { code, err } = await sync([], { signal: aborted('SIGTERM') });
    expect([code, err]).toEqual([143, expect.stringMatching(/^rdbkit: interrupted by SIGTERM\./)]);
  });

  test('--json: an object a second, and the summary', async () => {
    const { code, err } = await untilCaughtUp('--json', '--settle', '1500ms');
    const objects = err
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const last = objects.pop();
    expect(objects.every((object) => 'status' in object)).toBe(true);
    expect(objects).toContainEqual({
      status: expect.objectContaining({ phase: 'changes', problems: 0, lanes: [expect.objectContaining({ connected: true })] }) as object,
    });
    expect(last).toMatchObject({
      command: 'sync',
      exitCode: code,
      keysRestored: 3,
      caughtUp: true,
      expiriesReleased: 1,
      lanes: [{ lagBytes: 0 }],
    });
  });
});

describe('a source that no longer has the writes since', () => {
  beforeEach(async () => {
    expect((await untilCaughtUp()).code).toBe(0);
    await writeMuch();
  });

  test('is an error with a code of its own', async () => {
    const { code, err } = await untilCaughtUp();
    expect([code, err]).toEqual([
      4,
      expect.stringMatching(/^rdbkit: GAP: redis:.*\. The target is as it was left\. --on-gap full makes a full copy again\.\n$/),
    ]);
    expect(await target.client.exists('big')).toBe(0);
  });

  test('is copied again if that is asked for', async () => {
    const { code, err } = await untilCaughtUp('--on-gap', 'full');
    expect([code, err]).toEqual([0, expect.stringMatching(/^rdbkit: full copy: 1 key restored, 3 replaced; /m)]);
    expect(await target.client.strlen('big')).toBe(100_000);
  });

  test.each([
    ['yes', 0],
    ['no', 4],
  ] as const)('on a terminal somebody is asked: %s', async (answer, expected) => {
    const world = terminal(answer);
    const { code, err } = await sync(['--until', 'caught-up', '--settle', '200ms'], world);
    expect(err).toContain('rdbkit: the source no longer has the writes since the last run: ');
    expect(err).toContain('make a full copy again, which replaces keys of the target? Type yes: ');
    expect([code, await target.client.exists('big')]).toEqual([expected, expected === 0 ? 1 : 0]);
  });
});

test('a target that is not empty', async () => {
  await target.client.set('other', '1');
  const { code, err } = await untilCaughtUp();
  expect([code, err]).toEqual([4, expect.stringMatching(/^rdbkit: TARGET: .* has a key already\. Choose what happens to them: /m)]);
  const flushed = await sync(['--until', 'caught-up', '--flush'], terminal('no'));
  expect([flushed.code, flushed.err]).toEqual([1, expect.stringContaining('rdbkit: nothing was written.\n')]);
  expect(await target.client.exists('other')).toBe(1);
});
