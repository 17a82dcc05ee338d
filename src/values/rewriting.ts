import { ByteBuilder } from '../bytes/builder.js';
import { BYTES, Element, LZF } from '../encodings/element.js';
import { toInteger } from '../encodings/integer.js';
import { IntsetWriter } from '../encodings/intset-writer.js';
import { ListpackWriter } from '../encodings/listpack-writer.js';
import { ZiplistWriter } from '../encodings/ziplist-writer.js';
import type { Frame } from '../rdb/frame.js';
import { Scratch } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import { type Target, targetName, typeFor } from './targets.js';
import { Walk } from './walk.js';

/** Thrown, and caught by the transcoder, where a value cannot be said to the target. */
export class Unsayable extends Error {
  /** @param avoidable whether leaving something out, which was not allowed, would make it sayable */
  constructor(
    readonly reason: string,
    readonly avoidable = false,
  ) {
    super(reason);
  }
}

/**
 * `same`: the bytes of the file. `rewritten`: another encoding of all there is. `adapted`: without bookkeeping that the target's
 * encoding has no place for and that it can do without. `lossy`: without what `allowLoss` gave up.
 */
export type Outcome = 'same' | 'rewritten' | 'adapted' | 'lossy';

const KEY_META_SINCE = 13;

/** What a walk over a collection found. */
export interface Survey {
  items: number;
  /** Bytes of the longest string: item, field, value or member. */
  longest: number;
  /** Whether every item of a set is an integer. */
  integers: boolean;
  /** Fields with an expiry, and the least of the expiries. */
  expiring: number;
  leastExpiry: number;
}

/** What the rewriting of a value needs: who it is for, where it goes, and what was left out. */
export class Rewriting {
  readonly walk = new Walk();
  readonly out = new ByteBuilder();
  readonly ziplist = new ZiplistWriter();
  readonly listpack: ListpackWriter;
  readonly intset = new IntsetWriter();
  readonly scratch = new Scratch();

  /** What the target has no place for and can do without. */
  adapted: string[] = [];
  /** What is lost. */
  lost: string[] = [];
  private readonly element = new Element();

  constructor(
    readonly target: Target,
    private readonly allowLoss: boolean,
  ) {
    this.listpack = new ListpackWriter(target.wide);
  }

  begin(): void {
    this.out.clear();
    this.adapted = [];
    this.lost = [];
  }

  /** The type of the first of these names that the target reads. */
  choose(...names: string[]): TypeRow {
    for (const name of names) {
      const type = typeFor(this.target, name);
      if (type !== undefined) return type;
    }
    throw new Unsayable(`${targetName(this.target)} has no ${names.join(' or ')}`);
  }

  /** Leaves something out that is part of the value, where that is allowed. `what` goes with "Redis 6.2 has no …". */
  lose(what: string, detail: string): void {
    if (!this.allowLoss) throw new Unsayable(`${targetName(this.target)} has no ${what}: ${detail}`, true);
    this.lost.push(what);
  }

  get hasKeyMeta(): boolean {
    return this.target.vendor === 'redis' && this.target.rdbVersion >= KEY_META_SINCE;
  }

  /** Metadata that modules put to a key, of any type (redis 8.6), where the target has it. */
  keyMeta({ metaBytes }: Frame): Uint8Array | undefined {
    if (metaBytes === undefined || this.hasKeyMeta) return metaBytes;
    this.lose('module metadata of keys', `this one has ${metaBytes.length} bytes of it`);
    return undefined;
  }

  /** What became of a value that was left as it is, or rewritten. */
  outcome(whole: 'same' | 'rewritten'): Outcome {
    return this.lost.length > 0 ? 'lossy' : this.adapted.length > 0 ? 'adapted' : whole;
  }

  get leftOut(): readonly string[] {
    return [...new Set([...this.lost, ...this.adapted])];
  }

  /** The element without compression; another one is overwritten by it. */
  plain(element: Element): Element {
    if (element.kind !== LZF) return element;
    this.scratch.inflate(this.element.copy(element));
    return this.element;
  }

  /** The same as an integer, where it is one. */
  integer(element: Element): Element {
    toInteger(this.element.copy(this.plain(element)));
    return this.element;
  }

  survey(frame: Frame): Survey {
    const found: Survey = { items: 0, longest: 0, integers: true, expiring: 0, leastExpiry: 0 };
    const see = (element: Element): void => {
      const size = element.kind === BYTES ? element.end - element.start : element.kind === LZF ? element.num : 0;
      if (size > found.longest) found.longest = size;
    };
    this.walk.over(frame, {
      item: (element) => {
        found.items++;
        see(element);
        if (found.integers) found.integers = toInteger(this.element.copy(this.plain(element)));
      },
      pair: (field, value, expireAt) => {
        found.items++;
        see(field);
        see(value);
        if (expireAt === 0) return;
        if (found.expiring++ === 0 || expireAt < found.leastExpiry) found.leastExpiry = expireAt;
      },
      scored: (member) => {
        found.items++;
        see(member);
      },
    });
    return found;
  }
}
