import { sourceNames } from '../choice.js';
import type { KeyName } from '../fences.js';
import type { RecordKeys } from '../record.js';
import type { LeftKeys } from './left-keys.js';
import type { GroupMember, Step } from './member.js';
import { librariesOf } from './functions.js';
import type { Notices } from './notices.js';
import type { Origins } from './origins.js';
import type { UsedDatabases } from './used-databases.js';

export interface GroupOptions {
  readonly origins: Origins;
  readonly keys: readonly RecordKeys[];
  readonly left: readonly LeftKeys[];
  readonly used: UsedDatabases;
  readonly notices: Notices | undefined;
  readonly ours: boolean;
  readonly mayMeet: boolean;
  readonly replacesLibraries: boolean;
}

/** Why a member ends that is well: another one has failed, or all are to stop. */
export class GroupEnded extends Error {
  override readonly name = 'GroupEnded';
}

interface Vote {
  readonly by: Set<number>;
  readonly result: Promise<boolean>;
  readonly settle: (agreed: boolean) => void;
}

/** Syncs of several sources into one target, in one process. */
export class SyncGroup {
  readonly members: readonly Member[];
  private readonly votes = new Map<Step, Vote>();
  private readonly over = new Set<number>();
  private withdrawn = false;
  isDifferent = false;
  private areAllNear = false;
  private readonly near = new Set<number>();
  private shared: Promise<number> | undefined;
  private lonely: { readonly by: number; readonly done: Promise<unknown> } | undefined;

  constructor(readonly options: GroupOptions) {
    this.members = options.origins.all.map((_, number) => new Member(this, number));
  }

  /** Ends all: at a clean position those that follow their sources, the others at once. */
  end(reason: string): void {
    for (const member of this.members) member.end(new GroupEnded(reason));
  }

  /** A member has ended. */
  ended(number: number): void {
    this.over.add(number);
    for (const vote of this.votes.values()) if (!vote.by.has(number)) vote.settle(false);
  }

  agree(number: number, step: Step): Promise<boolean> {
    const vote = this.votes.get(step) ?? newVote();
    this.votes.set(step, vote);
    vote.by.add(number);
    if (this.withdrawn || [...this.over].some((one) => !vote.by.has(one))) vote.settle(false);
    else if (vote.by.size === this.members.length) vote.settle(true);
    return vote.result;
  }

  withdraw(isDifferent: boolean): void {
    this.withdrawn = true;
    this.isDifferent ||= isDifferent;
    for (const vote of this.votes.values()) vote.settle(false);
  }

  areNearWith(number: number, isNear: boolean): boolean {
    if (isNear) this.near.add(number);
    else this.near.delete(number);
    this.areAllNear ||= this.near.size === this.members.length; // one that ends then is no longer near
    return this.areAllNear;
  }

  async once(work: () => Promise<number>): Promise<number> {
    if (this.shared !== undefined) {
      await this.shared;
      return 0;
    }
    this.shared = work();
    return this.shared;
  }

  async alone<T>(by: number, work: () => Promise<T>): Promise<T> {
    while (this.lonely !== undefined) await this.lonely.done;
    const working = work();
    const lonely = { by, done: working.catch(() => undefined) };
    this.lonely = lonely;
    try {
      return await working;
    } finally {
      this.lonely = undefined;
    }
  }

  restingFor(number: number): Promise<void> | undefined {
    const { lonely } = this;
    return lonely === undefined || lonely.by === number ? undefined : this.rest(number);
  }

  private async rest(number: number): Promise<void> {
    while (this.lonely !== undefined && this.lonely.by !== number) await this.lonely.done;
  }
}

class Member implements GroupMember {
  /** Ends it at a clean position. */
  readonly stopping = new AbortController();
  /** Ends it at once. */
  readonly aborting = new AbortController();
  private readonly following: Promise<void>;
  private follow: () => void = () => undefined;
  private serving: ((names: readonly KeyName[]) => Promise<boolean>) | undefined;
  isFollowing = false;
  needed = 0;

  constructor(
    private readonly group: SyncGroup,
    readonly number: number,
  ) {
    this.following = new Promise((resolve) => (this.follow = resolve));
  }

  get name(): string {
    return this.origins.all[this.number].name;
  }

  get keys(): readonly RecordKeys[] {
    return this.group.options.keys;
  }

  get origins(): Origins {
    return this.group.options.origins;
  }

  get left(): LeftKeys {
    return this.group.options.left[this.number];
  }

  get used(): UsedDatabases {
    return this.group.options.used;
  }

  get notices(): Notices | undefined {
    return this.group.options.notices;
  }

  get ours(): boolean {
    return this.group.options.ours;
  }

  get mayMeet(): boolean {
    return this.group.options.mayMeet;
  }

  get replacesLibraries(): boolean {
    return this.group.options.replacesLibraries;
  }

  get isDifferent(): boolean {
    return this.group.isDifferent;
  }

  async turn(): Promise<void> {
    const { signal } = this.aborting;
    const before = Promise.all(this.group.members.slice(0, this.number).map(({ following }) => following));
    await Promise.race([before, new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))]);
    signal.throwIfAborted();
  }

  serves(bring: (names: readonly KeyName[]) => Promise<boolean>): void {
    this.serving = bring;
  }

  async bring<K extends Uint8Array>(db: number, keys: readonly K[]): Promise<K[]> {
    const theirs = new Set<K>();
    for (const other of this.group.members) {
      if (other === this || !this.used.has(other.number, db)) continue;
      const { choice, names } = this.origins.all[other.number];
      const own = keys.map((key) => ({ key, names: sourceNames(choice, names, db, key) })).filter(({ names: some }) => some.length > 0);
      if (own.length === 0) continue;
      await other.following; // until then its copy may come yet
      if ((await other.serving?.(own.flatMap(({ names: some }) => some))) !== true) continue;
      for (const { key } of own) theirs.add(key);
    }
    return keys.filter((key) => !theirs.has(key));
  }

  follows(): void {
    this.isFollowing = true;
    this.follow();
  }

  end(reason: GroupEnded): void {
    if (this.isFollowing) this.stopping.abort(reason);
    else this.aborting.abort(reason);
  }

  areNear(isNear: boolean): boolean {
    return this.group.areNearWith(this.number, isNear);
  }

  agree(step: Step): Promise<boolean> {
    return this.group.agree(this.number, step);
  }

  withdraw(isDifferent = false): void {
    this.group.withdraw(isDifferent);
  }

  once(work: () => Promise<number>): Promise<number> {
    return this.group.once(work);
  }

  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.group.alone(this.number, work);
  }

  resting(): Promise<void> | undefined {
    return this.group.restingFor(this.number);
  }

  async libraries(): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for (const [number, { servers }] of this.origins.all.entries()) {
      if (number === this.number) continue;
      for (const name of await librariesOf(servers)) names.add(name);
    }
    return names;
  }
}

function newVote(): Vote {
  let settle: (agreed: boolean) => void = () => undefined;
  const result = new Promise<boolean>((resolve) => (settle = resolve));
  return { by: new Set(), result, settle };
}
