import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KeyAmounts, PrefixTree } from '../../src/inspect/prefix-tree.js';
import { numbers, treeOf } from '../support/inspect-support.js';

const amounts = (more: Partial<KeyAmounts> = {}): KeyAmounts => ({
  ...{ type: 0, memory: 10, bytes: 3, elements: 1, keyBytes: 1, withExpiry: false, expired: false },
  ...more,
});

const add = (tree: PrefixTree, key: Uint8Array | string, more: Partial<KeyAmounts> = {}): void => {
  const bytes = Buffer.from(key);
  tree.add(bytes, 0, bytes.length, amounts({ keyBytes: bytes.length, ...more }));
};

/** The nodes by their whole prefix, as latin1. */
function nodesOf(tree: PrefixTree): Map<string, ReturnType<PrefixTree['node']>> {
  const prefixes = [''];
  const nodes = new Map<string, ReturnType<PrefixTree['node']>>();
  for (let i = 1; i < tree.nodes; i++) {
    const node = tree.node(i);
    prefixes.push(prefixes[tree.parentOf(i)] + Buffer.from(node.name).toString('latin1'));
    nodes.set(prefixes[i], node);
  }
  return nodes;
}

const keysOf = (tree: PrefixTree): Record<string, number> =>
  Object.fromEntries([...nodesOf(tree)].map(([prefix, { keys }]) => [prefix, keys]));

describe('segments', () => {
  const cut = (key: string, options: Parameters<typeof treeOf>[0] = {}): string[] => {
    const tree = treeOf(options);
    add(tree, key);
    return [...nodesOf(tree).keys()];
  };

  test.each([
    ['', []],
    ['plain', []],
    [':', [':']],
    ['::a', [':']],
    ['user:', ['user:']],
    ['user:bob', ['user:']],
    ['user:123', ['user:', 'user:*']],
    ['user:123:name', ['user:', 'user:*:', 'user:*:name']],
    ['123', ['*']],
    ['item12', ['item*']],
    ['item1', []],
    ['a:b:c:d:e:f:g', ['a:', 'a:b:', 'a:b:c:', 'a:b:c:d:', 'a:b:c:d:e:']],
    ['a:::b:c', ['a:', 'a:b:']],
    ['s:550e8400-e29b-41d4-a716-446655440000', ['s:', 's:*']],
  ])('of %j', (key, prefixes) => {
    expect(cut(key)).toEqual(prefixes);
  });

  test('a UUID is one segment although its dashes are delimiters', () => {
    const delimiters = Buffer.from(':-');
    expect(cut('s:550e8400-e29b-41d4-a716-446655440000:x-y', { delimiters })).toEqual(['s:', 's:*:', 's:*:x-', 's:*:x-y']);
    expect(cut('550e8400-e29b-x', { delimiters })).toEqual(['550e*-', '550e*-e29b-', '550e*-e29b-x']);
  });

  test('long ones have the beginning of their name, cut between characters', () => {
    const [name] = cut(`${'ö'.repeat(200)}:x`);
    expect(Buffer.from(name, 'latin1').toString()).toBe(`${'ö'.repeat(126)}:`);
    expect(cut(`${'x'.repeat(300)}:x`)).toEqual([`${'x'.repeat(253)}:`]);
    expect(cut(`${'\x80'.repeat(300)}:x`.replace(/^/, 'é'), {})).toHaveLength(1);
  });
});

/** What a tree should find, without bounds. The keys are of letters only, with `:` after each segment. */
class Model {
  readonly prefixes = new Map<string, { keys: number; memory: number; bytes: number; withExpiry: number; types: number[] }>();

  add(key: string, { bytes, memory, type, withExpiry }: KeyAmounts, depth: number): void {
    for (let level = 0, at = key.indexOf(':'); at >= 0 && level < depth; level++, at = key.indexOf(':', at + 1)) {
      const prefix = key.slice(0, at + 1);
      let sum = this.prefixes.get(prefix);
      if (sum === undefined)
        this.prefixes.set(prefix, (sum = { keys: 0, memory: 0, bytes: 0, withExpiry: 0, types: Array<number>(9).fill(0) }));
      sum.keys++;
      sum.memory += memory;
      sum.bytes += bytes;
      sum.withExpiry += Number(withExpiry);
      sum.types[type] += memory;
    }
  }
}

/** Keys whose first segments are heavy or rare. */
function filled(seed: number, count: number, options: Parameters<typeof treeOf>[0], greatest: number): { tree: PrefixTree; model: Model } {
  const next = numbers(seed);
  const tree = treeOf(options);
  const model = new Model();
  const letters = (n: number): string =>
    String.fromCharCode(97 + (n % 26), 97 + (Math.floor(n / 26) % 26), 97 + (Math.floor(n / 676) % 26));
  for (let i = 0; i < count; i++) {
    const segments = Array.from({ length: next(6) }, () => letters(next(3) === 0 ? next(17_000) : next(1 + next(20))));
    const key = [...segments, 'x'].join(':');
    const memory = next(50) === 0 ? next(greatest) : 1 + next(100);
    const one = amounts({ type: next(9), memory, bytes: next(1000), withExpiry: next(2) === 0 });
    add(tree, key, one);
    model.add(key, one, tree.options.depth);
  }
  return { tree, model };
}

test('below its capacity, a tree has exactly the prefixes of its keys and their amounts', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1000, max: 5000 }), (seed, depth, capacity) => {
      const { model, tree } = filled(seed, 300, { depth, capacity }, 1e9);
      const nodes = nodesOf(tree);
      expect(nodes.size).toBe(tree.nodes - 1);
      expect(tree.missing).toEqual({ keys: 0, memory: 0 });
      expect(new Set(nodes.keys())).toEqual(new Set(model.prefixes.keys()));
      for (const [prefix, { bytes, keys, memory, types, withExpiry }] of nodes) {
        expect({ keys, memory, bytes, withExpiry, types: Array.from(types) }).toEqual(model.prefixes.get(prefix));
      }
    }),
    { numRuns: 40 },
  );
});

test('beyond its capacity, amounts are too low by what `missing` says at most, and heavy prefixes stay', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(200, 1e6, 1e12),
      (seed, depth, kept, greatest) => {
        const { model, tree } = filled(seed, 2000, { depth, capacity: 2 * kept + 20, kept }, greatest);
        const { missing } = tree;
        expect(tree.nodes).toBeLessThanOrEqual(2 * kept + 20 + 64);
        const nodes = nodesOf(tree);
        expect(nodes.size).toBe(tree.nodes - 1);
        for (const [prefix, node] of nodes) {
          const truth = model.prefixes.get(prefix);
          if (truth === undefined) throw new Error(`${prefix} is no prefix`);
          expect(node.memory).toBeLessThanOrEqual(truth.memory);
          expect(node.keys).toBeLessThanOrEqual(truth.keys);
          expect(node.bytes).toBeLessThanOrEqual(truth.bytes);
          expect(node.memory).toBeGreaterThanOrEqual(truth.memory - missing.memory);
          expect(node.keys).toBeGreaterThanOrEqual(truth.keys - missing.keys);
          expect(node.types.reduce((sum, memory) => sum + memory, 0)).toBe(node.memory);
        }
        for (const [prefix, { memory }] of model.prefixes) if (memory > missing.memory) expect(nodes.has(prefix), prefix).toBe(true);
        for (let i = 1; i < tree.nodes; i++) {
          const parent = tree.parentOf(i);
          expect(parent).toBeLessThan(i);
          if (parent > 0) expect(tree.memoryOf(parent)).toBeGreaterThanOrEqual(tree.memoryOf(i));
        }
        const below = new Float64Array(tree.nodes);
        for (let i = 1; i < tree.nodes; i++) below[tree.parentOf(i)] += tree.memoryOf(i);
        for (let i = 1; i < tree.nodes; i++) expect(below[i]).toBeLessThanOrEqual(tree.memoryOf(i));
      },
    ),
    { numRuns: 60 },
  );
});

test('a heavy key of a new prefix counts, however late it comes', () => {
  const tree = treeOf({ capacity: 40, kept: 10 });
  for (let i = 0; i < 26 ** 3; i += 7)
    add(tree, `${String.fromCharCode(97 + (i % 26), 97 + (Math.floor(i / 26) % 26), 97 + Math.floor(i / 676))}:x`);
  add(tree, 'zzz:huge', { memory: 1e12 });
  expect(nodesOf(tree).get('zzz:')?.memory).toBe(1e12);
});

test('what the sketch holds at the end is missing, too', () => {
  const tree = treeOf({ capacity: 4, kept: 1, depth: 1 });
  for (const key of ['a:', 'a:', 'b:', 'c:', 'd:']) add(tree, key, { memory: 100 });
  const before = tree.missing.memory;
  expect(before).toBeGreaterThanOrEqual(200);
  add(tree, 'b:', { memory: 99 });
  expect(nodesOf(tree).get('b:')).toBeUndefined();
  expect(tree.missing.memory).toBe(before);
});

test('names of nodes that stay are theirs after pruning', () => {
  const tree = treeOf({ capacity: 200, kept: 20, depth: 1 });
  for (let i = 0; i < 10_000; i++)
    add(tree, `${Buffer.from([97 + (i % 26), 97 + ((i >> 3) % 26), 97 + ((i >> 6) % 26)]).toString()}:`, { memory: 1 });
  for (let i = 0; i < 20; i++) add(tree, `heavy-${String.fromCharCode(97 + i)}:`, { memory: 1e6 + i });
  const nodes = nodesOf(tree);
  for (let i = 0; i < 20; i++) expect(nodes.get(`heavy-${String.fromCharCode(97 + i)}:`)?.memory).toBe(1e6 + i);
});

test('deep paths in a tree that keeps next to nothing', () => {
  const tree = treeOf({ capacity: 4, kept: 2, depth: 64 });
  for (let i = 0; i < 200; i++) add(tree, `${String.fromCharCode(97 + (i % 26))}:`.repeat(64), { memory: i });
  expect(tree.nodes).toBeLessThan(140);
});

describe('p99', () => {
  const p99 = (memory: readonly number[]): number | undefined => {
    const tree = treeOf();
    for (const one of memory) add(tree, 'a:', { memory: one });
    return nodesOf(tree).get('a:')?.p99;
  };

  test('of few keys it is not known', () => {
    expect(p99([1, 2, 3])).toBeUndefined();
  });

  test('within 19 % of that of all keys but the first', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2 ** 30 }), { minLength: 1, maxLength: 300 }), (values) => {
        const found = p99([...Array<number>(16).fill(1), ...values]) ?? NaN;
        const truth = [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1];
        expect(Math.abs(found - truth)).toBeLessThanOrEqual(Math.max(1, 0.19 * truth));
      }),
    );
  });
});

test('keys of one type and of several', () => {
  const tree = treeOf();
  add(tree, 'a:', { type: 2, memory: 5 });
  add(tree, 'a:', { type: 2, memory: 6 });
  expect(Array.from(nodesOf(tree).get('a:')?.types ?? [])).toEqual([0, 0, 11, 0, 0, 0, 0, 0, 0]);
  add(tree, 'a:', { type: 8, memory: 7 });
  expect(Array.from(nodesOf(tree).get('a:')?.types ?? [])).toEqual([0, 0, 11, 0, 0, 0, 0, 0, 7]);
});

test('expiries', () => {
  const tree = treeOf();
  add(tree, 'a:x');
  add(tree, 'a:y', { withExpiry: true });
  add(tree, 'a:z', { withExpiry: true, expired: true });
  const node = nodesOf(tree).get('a:');
  expect([node?.keys, node?.withExpiry, node?.expired]).toEqual([3, 2, 1]);
  expect(keysOf(tree)).toEqual({ 'a:': 3 });
});

test('a prefix may lose as much again for each one above it', () => {
  const tree = treeOf({ capacity: 8, kept: 4, depth: 3 });
  for (const letter of 'abcdefgh') add(tree, `${letter}:`, { memory: 100 });
  for (let i = 0; i < 5; i++) add(tree, 'x:y:z:', { memory: 99 });
  const { missing } = tree;
  const lost = 5 * 99 - (nodesOf(tree).get('x:y:z:')?.memory ?? 0);
  expect(lost).toBe(297);
  expect(missing.memory).toBeGreaterThanOrEqual(lost);
  expect(missing.keys).toBeGreaterThanOrEqual(3);
});
