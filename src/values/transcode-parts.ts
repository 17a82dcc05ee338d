import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { BYTES, type Element } from '../encodings/element.js';
import type { ListpackWriter } from '../encodings/listpack-writer.js';
import { bigZiplistHead, type ZiplistWriter } from '../encodings/ziplist-writer.js';
import { type Frame, STRING_PART } from '../rdb/frame.js';
import { readString } from '../rdb/string.js';
import type { TypeRow } from '../rdb/types.js';
import { PACKED_NODE, PLAIN_NODE } from '../rdb/write.js';
import { addBytes, addLength, addScore, addString } from '../rdb/write-string.js';
import { VALUE } from './layouts.js';
import { BORDER_STRINGS, copyListpack } from './listpack-borders.js';
import { PartsReader } from './parts.js';
import type { Rewriting, Survey } from './rewriting.js';
import { scoreOf } from './value-integers.js';
import { addExpiryBefore, addExpiryBehind } from './transcode-hashes.js';
import { checkZiplist } from './transcode-lists.js';
import { copyStreamTail } from './transcode-stream.js';

/** A list node that is too large to be held is cut where it has so many bytes. */
const NODE = 1 << 20;

/** What the first walk over a value in parts found. */
export type PartsSurvey = Pick<Survey, 'items' | 'expiring' | 'leastExpiry'> & {
  /** Nodes of a stream, or those that a list is to have. */
  nodes: number;
  /** Whether an element is of a length that the target may misread: see listpack-borders.ts. */
  border: boolean;
};

const NOTHING: PartsSurvey = { items: 0, nodes: 0, expiring: 0, leastExpiry: 0, border: false };

/**
 * Writes a value anew that comes in parts. Counts stand before elements, so it takes two walks over the same parts: the first
 * one counts, the second one writes to `to.out`, some bytes for each part. Strings too large to hold are copied as they stand,
 * but for those that become nodes of ziplists.
 */
export class PartsRewriter extends PartsReader {
  found: PartsSurvey = NOTHING;
  private writing = false;
  /** What the value becomes; of lists and streams it is known before the first walk. */
  private type!: TypeRow;
  private source!: TypeRow;
  private nodeOpen = false;
  /** A large string at hand, whose bytes are copied as they stand in the file. */
  private raw = false;
  private bigRole = 0;
  /** Of a field: when it expires, where that is known before it; else it waits here until that is known. */
  private expireAt = 0;
  private readonly pair = new ByteBuilder();
  /** Expiries that come behind pairs with a large string in them, which cannot wait: by the number of the pair. */
  private readonly bigExpiries = new Map<number, number>();
  private pairs = 0;
  private bigPair = false;
  /** Expiries come behind the fields, and go before them. */
  private holding = false;

  constructor(private readonly to: Rewriting) {
    super();
  }

  /** Begins the first walk. */
  measure(source: TypeRow, type: TypeRow): void {
    this.found = { ...NOTHING };
    this.bigExpiries.clear();
    this.restart(source, type);
    this.writing = false;
  }

  /** Begins the second. */
  write(type: TypeRow): void {
    this.restart(this.source, type);
    this.writing = true;
  }

  private restart(source: TypeRow, type: TypeRow): void {
    this.source = source;
    this.type = type;
    this.nodeOpen = this.raw = this.bigPair = false;
    this.pairs = this.expireAt = 0;
    this.pair.clear();
    this.holding = type.name === 'HASH_METADATA' && (source.form === 'listpack-ex' || source.name === 'HASH_2');
  }

  override frame(kind: number, frame: Frame): void {
    super.frame(kind, frame);
    if (!this.raw || kind !== STRING_PART) return;
    if (this.writing) this.to.out.copy(frame.bytes, frame.start, frame.end);
    if (!frame.stringLast) return;
    this.raw = false;
    if (this.bigRole === VALUE) this.valueEnd();
  }

  protected begin(): void {
    if (!this.writing) return;
    const { found, to, type } = this;
    if (type.name === 'HASH_METADATA') to.out.le64(Math.floor(found.leastExpiry / 0x100000000), found.leastExpiry >>> 0);
    addLength(to.out, type.form === 'stream' || type.form.startsWith('quicklist') ? found.nodes : found.items);
  }

  protected end(): void {
    this.closeNode();
  }

  /** Notes an element of a listpack. */
  private see(element: Element): void {
    if (element.kind === BYTES && BORDER_STRINGS.has(element.end - element.start)) this.found.border = true;
  }

  item(element: Element): void {
    const { to, type } = this;
    if (!this.writing) {
      this.found.items++;
      this.see(element);
    }
    if (type.form.startsWith('quicklist')) this.addToNode(element);
    else if (this.writing) addString(to.out, element);
  }

  /** The writer of the nodes that a list is to have. */
  private get packer(): ZiplistWriter | ListpackWriter {
    return this.type.form === 'quicklist' ? this.to.ziplist : this.to.listpack;
  }

  private addToNode(element: Element): void {
    const { packer, to } = this;
    if (!this.nodeOpen) packer.begin();
    this.nodeOpen = true;
    packer.add(to.plain(element));
    if (this.type.form === 'quicklist') checkZiplist(to, packer.size);
    if (packer.size >= NODE) this.closeNode();
  }

  private closeNode(): void {
    if (!this.nodeOpen) return;
    this.nodeOpen = false;
    this.nodeCounted();
    if (!this.writing) return;
    const { out } = this.to;
    if (this.type.form === 'quicklist2') addLength(out, PACKED_NODE);
    const bytes = this.packer.finish();
    addBytes(out, bytes, 0, bytes.length);
  }

  private nodeCounted(): void {
    if (!this.writing) this.found.nodes++;
  }

  protected override quicklistNode(second: boolean, plain: boolean, bytes: Uint8Array, pos: number, end: number): number {
    this.closeNode();
    if (!plain || this.type.form !== 'quicklist2') {
      const next = super.quicklistNode(second, plain, bytes, pos, end);
      this.closeNode();
      return next;
    }
    const next = readString(bytes, pos, end, this.element);
    this.nodeCounted();
    if (this.writing) {
      addLength(this.to.out, PLAIN_NODE);
      this.to.out.copy(bytes, pos, next);
    }
    return next;
  }

  field(element: Element): void {
    if (this.writing) addString(this.pairBytes, element);
    else this.see(element);
  }

  value(element: Element): void {
    if (this.writing) addString(this.pairBytes, element);
    else this.see(element);
    this.valueEnd();
  }

  /** Where the field or value at hand goes. */
  private get pairBytes(): ByteBuilder {
    return this.holding && !this.bigPair ? this.pair : this.to.out;
  }

  private valueEnd(): void {
    this.pairs++;
    if (!this.writing) this.found.items++;
    else if (this.type.name === 'HASH_2' && this.source.form === 'hash-metadata') addExpiryBehind(this.to.out, this.expireAt);
  }

  expiry(ms: number): void {
    const { found, to, type } = this;
    const before = this.source.form === 'hash-metadata';
    this.expireAt = ms;
    if (!this.writing) {
      if (ms > 0 && (found.expiring++ === 0 || ms < found.leastExpiry)) found.leastExpiry = ms;
      if (this.bigPair) this.bigExpiries.set(this.pairs, ms);
    } else if (type.name === 'HASH_METADATA') {
      if (before) addExpiryBefore(to.out, ms, found.leastExpiry);
      else if (!this.bigPair) this.pairOut(ms);
    } else if (type.name === 'HASH_2' && !before) {
      addExpiryBehind(to.out, ms);
    }
    this.bigPair = false;
  }

  /** The expiry of the pair that waits is known. */
  private pairOut(ms: number): void {
    const { found, pair, to } = this;
    addExpiryBefore(to.out, ms, found.leastExpiry);
    to.out.copy(pair.bytes, 0, pair.length);
    pair.clear();
  }

  member(element: Element): void {
    if (this.writing) addString(this.to.out, element);
    else this.see(element);
  }

  score(element: Element): void {
    if (this.writing) addScore(this.to.out, this.type, scoreOf(element));
    else this.found.items++;
  }

  protected bigBegin(role: number, size: number): void {
    const { form } = this.type;
    this.bigRole = role;
    this.raw = form !== 'quicklist';
    if (this.type.redisType === 'list') this.bigItem(size);
    else if (this.type.redisType === 'hash' && !this.bigPair) this.bigInPair();
  }

  private bigItem(size: number): void {
    const { to, type } = this;
    this.closeNode();
    this.nodeCounted();
    if (!this.writing) this.found.items++;
    if (type.form === 'quicklist') {
      const head = bigZiplistHead(size);
      checkZiplist(to, head.length + size + 1);
      if (!this.writing) return;
      addLength(to.out, head.length + size + 1);
      to.out.copy(head, 0, head.length);
    } else if (type.form === 'quicklist2' && this.writing) {
      addLength(to.out, PLAIN_NODE);
    }
  }

  private bigInPair(): void {
    this.bigPair = true;
    if (!this.writing || !this.holding) return;
    const ms = this.bigExpiries.get(this.pairs + 1);
    if (ms === undefined) throw new TypeError('the second walk went another way than the first');
    this.pairOut(ms);
  }

  protected bigBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.writing && !this.raw) this.to.out.copy(bytes, start, end);
  }

  protected bigEnd(): void {
    if (this.writing && !this.raw) this.to.out.byte(0xff);
  }

  protected override streamKey(bytes: Uint8Array, pos: number, end: number): number {
    const next = readString(bytes, pos, end, this.element);
    if (this.writing) this.to.out.copy(bytes, pos, next);
    return next;
  }

  protected override streamNode(bytes: Uint8Array, pos: number, end: number): number {
    const { listpack, out, target } = this.to;
    this.nodeCounted();
    const next = this.writing ? copyListpack(out, listpack, target.wide, bytes, pos, end) : readString(bytes, pos, end, this.element);
    if (next < 0) throw new RdbError('BAD_STREAM', { within: pos, expected: 'a whole listpack', got: 'the end of the value' });
    return next;
  }

  protected override streamRest(source: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    copyStreamTail(this.to, source, this.type, bytes, start, end);
  }

  text(): void {
    // every server reads strings
  }

  entry(): void {
    // nodes are copied
  }

  entryElement(): void {
    // the same
  }

  entryEnd(): void {
    // the same
  }

  streamTail(): void {
    // it is copied
  }

  module(): void {
    // nothing can be made of it
  }

  modulePart(): void {
    // nothing can be made of it
  }

  arrayElement(): void {
    // nothing can be made of it
  }

  arrayInsertIndex(): void {
    // nothing can be made of it
  }
}
