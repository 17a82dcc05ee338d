import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamId } from '../../../src/encodings/stream.js';
import { RaxCount } from '../../../src/inspect/memory/rax.js';
import { be, bytes } from '../../support/support.js';

interface Trie {
  readonly next: Map<number, Trie>;
}

const size = (keys: number, pointers: number): number => Math.ceil((4 + keys) / 8) * 8 + 8 * pointers;

/** Nodes as raxInsert leaves them: chains of single bytes are one. */
function nodesOf(keys: readonly Uint8Array[]): number[] {
  const root: Trie = { next: new Map() };
  for (const key of keys) {
    let at = root;
    for (const byte of key) {
      let to = at.next.get(byte);
      if (to === undefined) at.next.set(byte, (to = { next: new Map() }));
      at = to;
    }
  }
  const sizes: number[] = [];
  const walk = (start: Trie): void => {
    let at = start;
    let chain = 0;
    for (; at.next.size === 1; chain++) [at] = at.next.values();
    if (chain > 0) sizes.push(size(chain, 1));
    sizes.push(at.next.size === 0 ? size(0, keys.length === 0 ? 0 : 1) : size(at.next.size, at.next.size));
    for (const child of at.next.values()) walk(child);
  };
  walk(root);
  return sizes;
}

const half = fc.oneof(fc.bigInt(0n, 3n), fc.bigInt(250n, 260n), fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(1_526_919_030_474n, 1_526_919_030_475n, 2n ** 32n));

test('nodes of a tree and their bytes', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(half, half), { maxLength: 40, selector: String }), (pairs) => {
      const ids = pairs.map(([ms, seq]) => bytes(be(ms, 8), be(seq, 8))).sort((a, b) => Buffer.compare(a, b));
      const count = new RaxCount((request) => request);
      for (const key of ids) count.add(new StreamId().read(key, 0));
      const expected = nodesOf(ids);
      const { bytes: total, keys, nodes } = count.end();
      expect([keys, nodes, total]).toEqual([ids.length, expected.length, expected.reduce((sum, each) => sum + each, 0)]);
    }),
  );
});
