import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import type { Frame } from '../../src/rdb/frame.js';
import type { Target } from '../../src/values/targets.js';
import { Transcoder } from '../../src/values/transcode.js';
import { differences } from '../support/compare.js';
import { serverFile, SERVERS } from '../support/dump-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { serverTruth } from '../support/server-truth.js';
import { bytes, decodeBytes, le, len, listpack, type Packable, type Part, rdb, str } from '../support/support.js';
import { framesOf } from '../support/transcode-support.js';

interface Line {
  type?: string;
  expireAt?: number;
  value: unknown;
}

/** JSON lines without the expiries of keys, and of streams what every server tells. */
const comparable = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { expireAt: _, ...record } = JSON.parse(line) as Line;
      return JSON.stringify(record.type === 'stream' ? { ...record, value: streamOf(record.value as Stream) } : record);
    })
    .join('\n');

interface Stream {
  entries: { id: string; fields: string[] }[];
  length: number;
  lastId: string;
  groups: { name: string; lastId: string; pending: unknown[]; consumers: { name: string; seenTime: number }[] }[];
}

const streamOf = ({ entries, groups, lastId, length }: Stream): Stream => ({
  entries,
  length,
  lastId,
  groups: groups.map((group) => ({ name: group.name, lastId: group.lastId, pending: group.pending, consumers: group.consumers.map(({ name, seenTime }) => ({ name, seenTime })) })),
});

/** Restores the keys that can be said to the server. Returns why the others cannot. */
async function restored(server: TestServer, target: Target, frames: Iterable<Frame>): Promise<{ reasons: string[]; outcomes: Record<string, number> }> {
  const transcoder = new Transcoder(target);
  const reasons: string[] = [];
  const outcomes: Record<string, number> = {};
  let db = -1;
  for (const frame of frames) {
    const found = transcoder.record(frame);
    outcomes[found.outcome] = (outcomes[found.outcome] ?? 0) + 1;
    if (found.outcome === 'refused') {
      reasons.push(found.reason);
      continue;
    }
    if (frame.db !== db) await server.client.select((db = frame.db));
    const key = Buffer.from(frame.keyBytes.slice(frame.keyStart, frame.keyEnd));
    const payload = Buffer.from(encodePayload(found.type.id, found.bytes.subarray(found.start, found.end), target.rdbVersion));
    await server.client.call('RESTORE', key, '0', payload, 'REPLACE');
  }
  return { reasons, outcomes };
}

describe(`${SERVER} restores what is transcoded for it`, () => {
  const withServer = async (run: (server: TestServer, target: Target) => Promise<void>): Promise<void> => {
    const server = await TestServer.start('--sanitize-dump-payload', 'yes', '--proto-max-bulk-len', '1gb');
    try {
      await run(server, await server.target());
    } finally {
      await server.stop();
    }
  };

  test.each(SERVERS.filter((name) => !name.includes('modules')))('the keys of %s', async (name) => {
    await withServer(async (server, target) => {
      const file = serverFile(name);
      const { reasons, outcomes } = await restored(server, target, framesOf(file));
      if (process.env.RDBKIT_TELL !== undefined) process.stderr.write(`${name} → ${target.vendor} ${target.release}: ${JSON.stringify(outcomes)}\n`);
      expect(reasons.filter((reason) => !/has no expiry of single hash fields: \d+ of \d+ have one$/.test(reason))).toEqual([]);
      const truth = comparable(await serverTruth(server.client, Array.from({ length: 16 }, (_, db) => db)));
      const wrong = differences(truth, comparable((await decodeBytes(file)).lines));
      expect(wrong.filter((line) => !line.startsWith('extra: '))).toEqual([]);
      expect(wrong).toHaveLength(reasons.length);
    });
  });

  const item = fc.oneof(
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    fc.bigInt(-70_000n, 70_000n),
    fc.constantFrom(-129n, -128n, 127n, 128n, -32_769n, 32_767n, 8_388_607n, 8_388_608n, -8_388_609n, 2n ** 31n - 1n, 2n ** 31n),
    fc.uint8Array({ maxLength: 70 }),
    fc.constantFrom(63, 64, 65, 249, 250, 251, 252, 253, 254, 255, 4095, 4096, 16376, 16377, 16378, 16379, 16383, 16384).map((size) => bytes('b'.repeat(size))),
  );
  const shown = { selector: (one: Packable) => (typeof one === 'bigint' ? one.toString() : Buffer.from(one).toString('latin1')), minLength: 1, maxLength: 60 };
  const items = fc.uniqueArray(item, shown);
  const scored = (list: readonly Packable[]): Packable[] => list.flatMap((member, i) => [member, i % 3 === 0 ? BigInt(i) : `${i + 0.25}`]);
  const twice = (list: readonly Packable[]): Packable[] => list.flatMap((field, i) => [field, list[(i * 7) % list.length]]);
  const value: fc.Arbitrary<[number, Part]> = fc.oneof(
    items.map((list): [number, Part] => [18, [len(2), 2, str(listpack(list)), 1, str('c'.repeat(20_000))]]),
    items.map((list): [number, Part] => [20, str(listpack(list))]),
    fc.uniqueArray(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), shown).map((list): [number, Part] => [20, str(listpack(list))]),
    items.map((list): [number, Part] => [17, str(listpack(scored(list)))]),
    items.map((list): [number, Part] => [16, str(listpack(twice(list)))]),
    items.map((list): [number, Part] => [25, [le(0, 8), str(listpack(list.flatMap((one, i) => [one, list[i], 0n])))]]),
    items.map((list): [number, Part] => [31, [1, len(list.length), list.map((one) => str(typeof one === 'bigint' ? one.toString() : one)), list.map(() => str('v'))]]),
  );

  test('random values at the borders of the encodings', async () => {
    await withServer(async (server, target) => {
      await fc.assert(
        fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 20 }), async (values) => {
          const file = rdb('REDIS0015', values.map(([type, part], i) => [type, str(`key:${i}`), part]));
          await server.client.flushall();
          expect((await restored(server, target, framesOf(file))).reasons).toEqual([]);
          expect(differences(comparable(await serverTruth(server.client, [0])), comparable((await decodeBytes(file)).lines))).toEqual([]);
        }),
        { numRuns: 60 },
      );
    });
  });
});
