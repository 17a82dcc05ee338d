import { ByteBuilder } from '../bytes/builder.js';
import { BYTES, Element, LZF } from '../encodings/element.js';
import { toInteger } from '../encodings/integer.js';
import { IntsetWriter } from '../encodings/intset-writer.js';
import { ListpackWriter } from '../encodings/listpack-writer.js';
import { ZiplistWriter } from '../encodings/ziplist-writer.js';
import type { Frame } from '../rdb/frame.js';
import { Scratch } from '../rdb/string.js';
import { TargetLimits } from './target-limits.js';
import type { Target } from './targets.js';
import { Walk } from './walk.js';

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

/** What the rewriting of a value needs beside that: readers, writers, and where it goes. */
export class Rewriting extends TargetLimits {
  readonly walk = new Walk();
  readonly out = new ByteBuilder();
  readonly ziplist = new ZiplistWriter();
  readonly listpack: ListpackWriter;
  readonly intset = new IntsetWriter();
  readonly scratch = new Scratch();
  private readonly element = new Element();

  constructor(target: Target, allowLoss: boolean) {
    super(target, allowLoss);
    this.listpack = new ListpackWriter(target.wide);
  }

  override begin(): void {
    super.begin();
    this.out.clear();
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
