import { Element } from '../encodings/element.js';
import { ValueReader } from './reader.js';

/** Who is told of the elements of a collection. What they are given is borrowed: valid until they return. */
export interface ElementHandlers {
  /** Of a list or set. */
  item?(element: Element): void;
  /** Of a hash; the expiry in Unix milliseconds, 0 for none. */
  pair?(field: Element, value: Element, expireAt: number): void;
  /** Of a sorted set; the score as ValueReader gives it. */
  scored?(member: Element, score: Element): void;
  /** Around the items of each node of a list that has nodes. */
  nodeBegin?(): void;
  nodeEnd?(): void;
}

/**
 * Walks the elements of a whole collection, item by item, whatever its encoding: fields come with value and expiry at once,
 * members with their score. For values of all other types nothing is called.
 */
export class Walk extends ValueReader {
  private handlers: ElementHandlers = {};
  /** A field or member, and a value, that wait for what follows. They point to bytes that stay while the value is walked. */
  private readonly before = new Element();
  private readonly held = new Element();
  private expireAt = 0;
  /** Whether an expiry follows each value. */
  private expiryBehind = false;

  /** Calls the handlers for the frame's value. Throws RdbError where it is damaged. */
  over(frame: Parameters<Walk['record']>[0], handlers: ElementHandlers): void {
    this.handlers = handlers;
    this.expireAt = 0;
    this.expiryBehind = frame.type.form === 'listpack-ex' || frame.type.name === 'HASH_2';
    this.record(frame);
  }

  item(element: Element): void {
    this.handlers.item?.(element);
  }

  field(element: Element): void {
    this.before.copy(element);
  }

  value(element: Element): void {
    if (this.expiryBehind) this.held.copy(element);
    else this.handlers.pair?.(this.before, element, this.expireAt);
  }

  expiry(ms: number): void {
    if (this.expiryBehind) this.handlers.pair?.(this.before, this.held, ms);
    else this.expireAt = ms;
  }

  member(element: Element): void {
    this.before.copy(element);
  }

  score(element: Element): void {
    this.handlers.scored?.(this.before, element);
  }

  protected override quicklistNode(second: boolean, plain: boolean, bytes: Uint8Array, pos: number, end: number): number {
    this.handlers.nodeBegin?.();
    const next = super.quicklistNode(second, plain, bytes, pos, end);
    this.handlers.nodeEnd?.();
    return next;
  }

  protected begin(): void {
    // every value is told by its elements alone
  }

  protected end(): void {
    // the same
  }

  text(): void {
    // no collection
  }

  entry(): void {
    // no collection
  }

  entryElement(): void {
    // no collection
  }

  entryEnd(): void {
    // no collection
  }

  streamTail(): void {
    // no collection
  }

  module(): void {
    // no collection
  }

  modulePart(): void {
    // no collection
  }

  arrayElement(): void {
    // no collection
  }

  arrayInsertIndex(): void {
    // no collection
  }
}
