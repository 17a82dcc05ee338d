import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { readTopology, slotRangesOf } from '../../src/redis/topology.js';
import { type Address, addressText } from '../../src/redis/url.js';

describe('CLUSTER SLOTS', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const known = fc.record({ host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port });
  const named = fc.oneof({ weight: 3, arbitrary: known }, fc.record({ host: fc.constantFrom(null, '', '?'), port }));
  /** Owners by range: each range ends before the next one begins; -1 is nobody. */
  const map = fc.record({
    nodes: fc.uniqueArray(named, { minLength: 1, maxLength: 8, selector: ({ host, port: number }) => `${host === null || host === '?' ? '' : host} ${number}` }),
    borders: fc.uniqueArray(fc.integer({ min: 1, max: 16383 }), { maxLength: 40 }),
    owners: fc.array(fc.integer({ min: -1, max: 7 }), { minLength: 41, maxLength: 41 }),
    replicas: fc.array(fc.nat({ max: 3 }), { minLength: 8, maxLength: 8 }),
  });
  const ASKED: Address = { host: 'asked.test', port: 1 };

  test('says of every slot whose it is, in any order, where nodes do not know their host and where they are reached elsewhere', async () => {
    await fc.assert(
      fc.asyncProperty(map, fc.array(fc.nat({ max: 7 })), fc.infiniteStream(fc.nat()), async ({ borders, nodes, owners, replicas }, moved, order) => {
        const text = ({ host, port: number }: { host: string | null; port: number }): string => `${host} ${number}`;
        const nat = new Map(moved.filter((i) => i < nodes.length).map((i) => [text(nodes[i]), { host: `outer-${i}.test`, port: 7000 + i }]));
        const starts = [0, ...[...borders].sort((a, b) => a - b)];
        const expected = new Array<string | undefined>(16384).fill(undefined);
        const rows: unknown[] = [];
        starts.forEach((from, i) => {
          const to = (starts[i + 1] ?? 16384) - 1;
          const owner = owners[i];
          if (owner < 0) return;
          const index = owner % nodes.length;
          const { host, port: number } = nodes[index];
          const unknown = host === null || host === '' || host === '?';
          expected.fill(addressText(unknown ? { host: ASKED.host, port: number } : (nat.get(text(nodes[index])) ?? { host, port: number })), from, to + 1);
          const others = Array.from({ length: replicas[index] }, (_, n) => ['10.9.9.9', n + 1, 'replica']);
          rows.splice((order.next().value ?? 0) % (rows.length + 1), 0, [from, to, [host, number, `id-${index}`], ...others]);
        });
        const client = { call: () => Promise.resolve(rows) } as unknown as Redis;
        const topology = await readTopology(client, ASKED, (address) => nat.get(text(address)) ?? address);
        const names = topology.nodes.map(({ address }) => addressText(address));
        expect([...topology.owners].map((owner) => (owner < 0 ? undefined : names[owner]))).toEqual(expected);
        expect(new Set(names).size).toBe(names.length);
        for (const { id, replicas: count } of topology.nodes) expect(count).toHaveLength(replicas[Number(id.slice(3))]);
        const nobodys = expected.reduce((sum, owner) => sum + (owner === undefined ? 1 : 0), 0);
        const gaps = slotRangesOf(topology.owners, -1);
        expect(gaps.reduce((sum, [from, to]) => sum + to - from + 1, 0)).toBe(nobodys);
        for (const [from, to] of gaps) expect([expected[from], expected[to], expected[from - 1] === undefined && from > 0]).toEqual([undefined, undefined, false]);
      }),
      { numRuns: 50 },
    );
  });

  test('a node that should announce a host name and has none is at its IP address', async () => {
    const unnamed = ['?', 7001, 'a', ['ip', '10.0.0.1']];
    const named = ['b.example.com', 7002, 'b', ['ip', '10.0.0.2']];
    const lost = ['?', 7003, 'c', []];
    const rows = [[0, 99, unnamed, ['10.0.0.9', 7009, 'a2', []]], [100, 199, named], [200, 299, lost], [300, 399, [null, 7004, 'd', ['ip', '10.0.0.4']]]];
    const client = { call: () => Promise.resolve(rows) } as unknown as Redis;
    const { nodes } = await readTopology(client, ASKED, (address) => address);
    expect(nodes.map(({ address }) => addressText(address))).toEqual(['10.0.0.1:7001', 'b.example.com:7002', 'asked.test:7003', 'asked.test:7004']);
    expect(nodes[0].replicas).toEqual(['a2']);
  });
});
