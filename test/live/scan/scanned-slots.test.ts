import { describe, expect, test } from 'vitest';
import { SLOTS } from '../../../src/bytes/crc16.js';
import { type Claim, LEAVING, OTHERS, OWN } from '../../../src/live/claim.js';
import type { ClusterView } from '../../../src/live/cluster-state.js';
import { Lineage } from '../../../src/live/lineage.js';
import { ScannedSlots } from '../../../src/live/scan/scanned-slots.js';

const SLOT = 7;
const [A, B, C] = [0, 1, 2];
const NONE = new Set<number>();

/** What a master says; A has all slots but this one. */
const claim = (shard: number, state: number): Claim => {
  const states = new Uint8Array(SLOTS).fill(shard === A ? OWN : OTHERS);
  states[SLOT] = state;
  return { id: `${shard}`, epoch: 1, states, to: new Map(), keys: new Map() };
};

const view = (owner: number, ...coming: number[]): ClusterView => {
  const owners = new Int16Array(SLOTS).fill(A);
  owners[SLOT] = owner;
  const claimants = [A, B, C].map((shard) => ({
    shard,
    claim: claim(shard, OTHERS),
    master: { name: `${shard}`, address: undefined, id: '', replicas: 0, replicaIds: [] },
  }));
  return { claimants, owners, coming: new Map(coming.length === 0 ? [] : [[SLOT, coming]]) };
};

function due(slots: ScannedSlots, now: ClusterView, failed: ReadonlySet<number> = NONE): string {
  return slots
    .due(now, failed)
    .map(
      ({ asking, shard, slots: at }) =>
        `${'ABC'[shard]}${asking ? '?' : ''} ${[...at].flatMap((is, slot) => (is === 1 ? [slot] : [])).join()}`,
    )
    .join('; ');
}

/** After A, B and C were scanned, with this slot in some state on A and B. */
function scanned(a: number, b: number, elsewhere = NONE): ScannedSlots {
  const slots = new ScannedSlots();
  slots.scanned(A, claim(A, a), elsewhere);
  slots.scanned(B, claim(B, b), NONE);
  slots.scanned(C, claim(C, OTHERS), NONE);
  return slots;
}

describe('what is due after all masters were scanned', () => {
  test.each<[what: string, expected: string, slots: ScannedSlots, now: ClusterView]>([
    ['nothing where nothing moved', '', scanned(OWN, OTHERS), view(A)],
    ['a slot that moved', 'B 7', scanned(OWN, OTHERS), view(B)],
    ['nothing where its new owner had it when it was scanned', '', scanned(OWN, OWN), view(B)],
    ['a slot that no master had when it was scanned', 'A 7', scanned(OTHERS, OTHERS), view(A)],
    ['a slot on its way, there', 'B? 7', scanned(LEAVING, OTHERS), view(A, B)],
    ['a slot on its way since it moved, after its owner', 'B 7; C? 7', scanned(OWN, OTHERS), view(B, C)],
    ['a slot that came back, on its owner', 'A 7', scanned(LEAVING, OTHERS), view(A)],
    ['a slot that arrived', 'B 7', scanned(LEAVING, OTHERS), view(B)],
    ['a slot of which keys were elsewhere', 'A 7', scanned(OWN, OTHERS, new Set([SLOT])), view(A)],
    ['nothing of a slot that nobody owns', '', scanned(OWN, OTHERS), view(-1)],
  ])('%s', (_, expected, slots, now) => {
    expect(due(slots, now)).toBe(expected);
  });

  test('nothing of masters that failed', () => {
    expect(due(scanned(OWN, OTHERS), view(B), new Set([B]))).toBe('');
    expect(due(scanned(LEAVING, OTHERS), view(A, B), new Set([B]))).toBe('');
  });

  test('nothing once that is done, and again what changes then', () => {
    const slots = scanned(LEAVING, OTHERS);
    const first = view(A, B);
    for (const scan of slots.due(first, NONE)) slots.done(scan, first, NONE);
    expect(due(slots, view(A, B))).toBe('');
    expect(due(slots, view(A))).toBe('A 7');
    expect(due(slots, view(B))).toBe('B 7');
    expect(due(slots, view(A, C))).toBe('C? 7');
    expect([slots.wasRead(SLOT, A), slots.wasRead(SLOT, B), slots.wasRead(SLOT, C)]).toEqual([true, true, false]);
    const later = view(B);
    for (const scan of slots.due(later, NONE)) slots.done(scan, later, NONE);
    expect(due(slots, later)).toBe('');
    expect(slots.unread).toEqual([]);
  });
});

describe('the shard of a node', () => {
  const node = (id: string, ...replicaIds: string[]): { id: string; name: string; replicaIds: string[] } => ({
    id,
    name: `${id}:6379`,
    replicaIds,
  });

  test('is that of the master that it was a replica of last', () => {
    const lineage = new Lineage();
    lineage.adopt(node('a'), 0);
    lineage.adopt(node('b'), 1);
    lineage.learn([node('a', 'a2', 'spare'), node('b', 'b2'), node('unknown', 'b2')]);
    expect(['a2', 'b2', 'spare'].map((id) => lineage.shardOf(node(id)))).toEqual([0, 1, 0]);
    lineage.learn([node('a2', 'a'), node('b', 'b2', 'spare')]);
    expect(['a', 'a2', 'spare'].map((id) => lineage.shardOf(node(id)))).toEqual([0, 0, 1]);
    expect(lineage.knows(node('unknown'))).toBe(false);
  });

  test('is known by its address where there are no ids', () => {
    const lineage = new Lineage();
    lineage.adopt({ id: '', name: 'a:1' }, 0);
    lineage.learn([{ id: '', name: 'a:1', replicaIds: [''] }]);
    expect([lineage.knows({ id: '', name: 'a:1' }), lineage.knows({ id: '', name: 'b:1' })]).toEqual([true, false]);
  });
});
