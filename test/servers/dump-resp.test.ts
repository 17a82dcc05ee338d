import { describe, expect, test } from 'vitest';
import { RespSink, type RespSinkOptions } from '../../src/dump/resp-sink.js';
import { releaseNumber } from '../../src/values/targets.js';
import { differences } from '../support/compare.js';
import { dumped, type Feeding, loadable, serverFile } from '../support/dump-support.js';
import { TestServer } from '../support/redis-server.js';
import { serverTruth } from '../support/server-truth.js';
import { decodeBytes } from '../support/support.js';

const MAX = 512 << 20;
const resp = (rdbs: Uint8Array[], more: Partial<RespSinkOptions> = {}, feeding: Feeding = {}) =>
  dumped(rdbs, (output, options) => new RespSink(output, { ...options, maxPayload: MAX, now: 0, ...more }), feeding);

interface Stream {
  key: string;
  value: { entries: unknown; lastId: string; groups: { name: string; lastId: string; pending: unknown; consumers: { name: string }[] }[] };
}

const isStream = (line: string): boolean => line.includes('"type":"stream"');
const others = (lines: string): string => lines.split('\n').filter((line) => !isStream(line)).join('\n');

/** Entries, and groups with all that is pending; not the times at which consumers were seen. */
function streams(lines: string): unknown {
  const all = lines.split('\n').filter(isStream).map((line) => JSON.parse(line) as Stream);
  return all.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, value: { entries, groups, lastId } }) => {
    return [key, entries, lastId, groups.map((group) => [group.name, group.lastId, group.pending, group.consumers.map(({ name }) => name)])];
  });
}

describe('a real server', () => {
  test.each([['RESTORE', MAX], ['plain commands', 1]])('takes %s, and has what it had from the file', async (_, maxPayload) => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    try {
      const own = await server.target();
      const target = releaseNumber(own) < 602 ? own : undefined; // consumers without pending entries are made by a command of 6.2
      for (const name of loadable(own)) {
        const file = serverFile(name);
        await server.load(file);
        const want = await server.client.call('DEBUG', 'DIGEST');
        const truth = await serverTruth(server.client, [0, 1, 2, 15]);
        await server.client.flushall();
        const { bytes: out, problems } = await resp([file], { maxPayload, target }, { chunks: 9000, limit: 2000 });
        expect(problems).toEqual([]);
        expect(server.pipe(out)).toMatch(/^errors: 0, replies: \d+$/);
        const after = await serverTruth(server.client, [0, 1, 2, 15]);
        expect(differences(others(truth), others(after))).toEqual([]);
        expect(streams(after)).toEqual(streams(truth));
        // ZADD makes 0 of -0 in a small sorted set, RESTORE does not
        if (maxPayload > 1 || !/[:,"]-0[,}]/.test((await decodeBytes(file)).lines)) expect(await server.client.call('DEBUG', 'DIGEST')).toBe(want);
      }
    } finally {
      await server.stop();
    }
  });
});
