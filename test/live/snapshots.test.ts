import { describe, expect, test } from 'vitest';
import { SLOTS } from '../../src/bytes/crc16.js';
import { type Claim, COMING, LEAVING, OTHERS, OWN } from '../../src/live/claim.js';
import { Snapshots } from '../../src/live/snapshots.js';

const SLOT = 7;
/** Nothing is to be said of the other slots: A has them all. */
const claim = (id: string, state: number, keys?: number): Claim => {
  const states = new Uint8Array(SLOTS).fill(id === 'A' ? OWN : OTHERS);
  states[SLOT] = state;
  return { id, epoch: 1, states, to: new Map(), keys: new Map(keys === undefined ? [] : [[SLOT, keys]]) };
};
const [A, B] = [0, 1];

/** Two shards that read one slot: events in their order, then what is found. */
class Reading {
  readonly snapshots = new Snapshots();

  begin(shard: number, state: number, kept: number, keys?: number): this {
    const before = claim(shard === A ? 'A' : 'B', state, keys);
    const wanted = this.snapshots.wanted(shard, before);
    const counts = new Uint32Array(SLOTS);
    const dropped = new Uint32Array(SLOTS);
    (wanted[SLOT] === 1 ? counts : dropped)[SLOT] = kept;
    this.snapshots.begin(shard, before, { wanted, kept: counts, dropped });
    return this;
  }

  begun(shard: number, state?: number, keys?: number): this {
    this.snapshots.begun(shard);
    if (state !== undefined) this.snapshots.told(shard, claim(shard === A ? 'A' : 'B', state, keys));
    return this;
  }

  flaws(a: number, b: number, keys?: number): string {
    const { missing, twice } = this.snapshots.flaws(
      new Map([
        [A, claim('A', a, keys)],
        [B, claim('B', b)],
      ]),
    );
    return [...missing.map((slot) => `missing ${slot}`), ...twice.map((slot) => `twice ${slot}`)].join(', ');
  }
}

describe('a slot in the RDBs of two masters', () => {
  test.each<[what: string, found: string, reading: (reading: Reading) => string]>([
    ['that stays', '', (r) => r.begin(A, OWN, 3).begun(A, OWN).begin(B, OTHERS, 0).begun(B, OTHERS).flaws(OWN, OTHERS)],
    ['that moves after it was read', '', (r) => r.begin(A, OWN, 3).begun(A, OWN).begin(B, OWN, 3).begun(B, OWN).flaws(OTHERS, OWN)],
    [
      'that moves to a master that was read',
      'missing 7',
      (r) => r.begin(B, OTHERS, 0).begun(B, OTHERS).begin(A, OTHERS, 0).begun(A, OTHERS).flaws(OTHERS, OWN),
    ],
    [
      'that moves while its master begins',
      'missing 7',
      (r) => r.begin(A, OWN, 0).begun(A, OTHERS).begin(B, OTHERS, 0).begun(B, OTHERS).flaws(OTHERS, OWN),
    ],
    [
      'that moves while its master begins, and is read there',
      '',
      (r) => r.begin(A, OWN, 0).begun(A, OTHERS).begin(B, OWN, 3).begun(B, OWN).flaws(OTHERS, OWN),
    ],
    [
      'that moves while its master begins, and perhaps was there',
      'twice 7',
      (r) => r.begin(A, OWN, 2).begun(A, OTHERS).begin(B, OWN, 3).begun(B, OWN).flaws(OTHERS, OWN),
    ],
    [
      'that stays half-way',
      '',
      (r) => r.begin(B, COMING, 1).begun(B, COMING).begin(A, LEAVING, 2, 2).begun(A, LEAVING, 2).flaws(LEAVING, COMING, 2),
    ],
    [
      'that goes on from half-way, read in the direction that keys go',
      'twice 7',
      (r) => r.begin(A, LEAVING, 2, 2).begun(A, LEAVING, 2).begin(B, COMING, 2).begun(B, COMING).flaws(LEAVING, COMING, 1),
    ],
    [
      'that goes on from half-way, read against it',
      'missing 7, twice 7',
      (r) =>
        r
          .begin(B, COMING, 1)
          .begun(B, COMING)
          .begin(A, LEAVING, 1, 1)
          .begun(A, LEAVING, 1)
          .flaws(LEAVING, COMING, 1 + 1),
    ],
    [
      'that arrives after both began',
      'missing 7',
      (r) => r.begin(A, LEAVING, 0, 2).begin(B, COMING, 1).begun(A, OTHERS).begun(B, OWN).flaws(OTHERS, OWN),
    ],
    [
      'that arrives after it was read half-way',
      '',
      (r) => r.begin(A, LEAVING, 2, 2).begun(A, LEAVING, 2).begin(B, OWN, 0).begun(B, OWN).flaws(OTHERS, OWN),
    ],
    [
      'whose master is asked at the end only',
      '',
      (r) => r.begin(A, OWN, 3).begun(A).begin(B, OTHERS, 0).begun(B, OTHERS).flaws(OWN, OTHERS),
    ],
    [
      'whose master is asked at the end only, after it moved',
      'missing 7',
      (r) => r.begin(A, OWN, 3).begun(A).begin(B, OTHERS, 0).begun(B, OTHERS).flaws(OTHERS, OWN),
    ],
  ])('%s', (_, found, reading) => {
    expect(reading(new Reading())).toBe(found);
  });

  test('counts keys that no master says are its own', () => {
    const reading = new Reading().begin(A, OWN, 3).begun(A, OWN).begin(B, OTHERS, 4).begun(B, OTHERS);
    expect([reading.snapshots.strays(A), reading.snapshots.strays(B)]).toEqual([0, 4]);
    expect(new Reading().begin(A, OWN, 3).begun(A, OWN).begin(B, OWN, 3).begun(B, OWN).snapshots.strays(B)).toBe(0);
  });

  test('begins anew where a shard is read again', () => {
    const { snapshots } = new Reading().begin(A, OWN, 3).begun(A, OWN);
    snapshots.open(A);
    expect(snapshots.wanted(B, claim('B', OWN))[SLOT]).toBe(0);
    snapshots.open(A);
    expect(snapshots.wanted(B, claim('B', OWN))[SLOT]).toBe(1);
  });
});
