import { SLOTS } from '../bytes/crc16.js';
import { type Claim, COMING, LEAVING, OTHERS, OWN, owns } from './claim.js';
import type { OwnSlots } from './own-slots.js';

/**
 * The RDB of a shard: what its master said of the slots before the server was asked for it, and after it had begun to send it. The RDB is
 * from a moment between the two.
 */
export interface Snapshot {
  readonly shard: number;
  readonly before: Claim;
  /** Undefined until it is known. */
  readonly after: Claim | undefined;
  /** The keys of the RDB by slot. */
  readonly keys: Pick<OwnSlots, 'dropped' | 'kept' | 'wanted'>;
  /** In the order of events: after `before` was told, and before `after` was asked for. */
  readonly from: number;
  readonly to: number;
}

/** Slots whose keys may not be as they should. */
export interface Flaws {
  /** Slots of which no RDB may have all keys. */
  readonly missing: number[];
  /** Slots with keys that may be in several of the RDBs. */
  readonly twice: number[];
}

/** The RDBs of the shards of a cluster, each from a moment of its own: which slots are whole in them. */
export class Snapshots {
  private readonly taken = new Map<number, Snapshot>();
  private readonly opened = new Set<number>();
  private events = 0;

  /** A shard is going to be read. If it was read before, all are read again. */
  open(shard: number): void {
    if (this.opened.has(shard)) {
      this.opened.clear();
      this.taken.clear();
    }
    this.opened.add(shard);
  }

  /** The slots to keep of an RDB that is going to be asked for: its own that no earlier one has whole, and those on their way to it. */
  wanted(shard: number, { states }: Claim): Uint8Array {
    const others = [...this.taken.values()].filter((snapshot) => snapshot.shard !== shard);
    return states.map((state, slot) => (state === OTHERS || others.some((snapshot) => isWhole(snapshot, slot)) ? 0 : 1));
  }

  /** An RDB is going to be asked for. */
  begin(shard: number, before: Claim, keys: Snapshot['keys']): void {
    this.taken.set(shard, { ...{ shard, before, keys }, after: undefined, from: this.events++, to: Infinity });
  }

  /** Its server sends it; what its master says then follows with `told`. */
  begun(shard: number): void {
    this.change(shard, { to: this.events++ });
  }

  told(shard: number, after: Claim): void {
    this.change(shard, { after });
  }

  private change(shard: number, change: Partial<Snapshot>): void {
    const snapshot = this.taken.get(shard);
    if (snapshot !== undefined) this.taken.set(shard, { ...snapshot, ...change });
  }

  /** Keys that an RDB had and that are not of its master. */
  strays(shard: number): number {
    const snapshot = this.taken.get(shard);
    if (snapshot === undefined) return 0;
    const { after, before, keys } = snapshot;
    return keys.dropped.reduce(
      (sum, count, slot) => sum + (before.states[slot] === OTHERS && (after?.states[slot] ?? OTHERS) === OTHERS ? count : 0),
      0,
    );
  }

  /** Shards that were read. */
  get shards(): number[] {
    return [...this.taken.keys()];
  }

  /** `now`: what the masters of the shards say after everything was read. */
  flaws(now: ReadonlyMap<number, Claim>): Flaws {
    const all = [...this.taken.values()].map((snapshot) => ({ ...snapshot, after: snapshot.after ?? now.get(snapshot.shard) }));
    const missing: number[] = [];
    const twice: number[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      const kept = all.filter(({ keys }) => keys.wanted[slot] === 1);
      const wholes = kept.filter((snapshot) => isWhole(snapshot, slot));
      const half = kept.length === 2 ? halves(kept, slot, now) : 'missing';
      if (wholes.length === 0 && half === 'missing') missing.push(slot);
      if (half !== 'once' && kept.filter(({ keys }) => keys.kept[slot] > 0).length > 1) twice.push(slot);
    }
    return { missing, twice };
  }
}

const isWhole = ({ after, before, keys }: Snapshot, slot: number): boolean =>
  keys.wanted[slot] === 1 && before.states[slot] === OWN && after?.states[slot] === OWN;

/**
 * A slot whose keys are on their way from a master to another one: in two RDBs together. Keys only go one way, so where that of the
 * master is older, all of them are in one or the other, and some perhaps in both.
 */
function halves(two: readonly Snapshot[], slot: number, now: ReadonlyMap<number, Claim>): 'once' | 'all' | 'missing' {
  const source = two.find(({ after, before }) => owns(before.states[slot]) && after !== undefined && owns(after.states[slot]));
  const target = two.find(({ after, before }) => before.states[slot] === COMING && (after?.states[slot] ?? OTHERS) !== OTHERS);
  if (source === undefined || target === undefined) return 'missing';
  const [sourceNow, targetNow] = [now.get(source.shard), now.get(target.shard)];
  const keys = source.before.keys.get(slot);
  const stands =
    [source.before, source.after, sourceNow].every((claim) => claim?.states[slot] === LEAVING) &&
    [target.before, target.after, targetNow].every((claim) => claim?.states[slot] === COMING);
  if (stands && keys !== undefined && keys === sourceNow?.keys.get(slot)) return 'once';
  return source.to < target.from ? 'all' : 'missing';
}
