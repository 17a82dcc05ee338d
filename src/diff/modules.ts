import { DOUBLE, type Element, INT64, LARGE } from '../encodings/element.js';
import type { Codec } from '../kernels/codec.js';
import { REDIS_TYPES } from '../rdb/types.js';
import { MODULE_STRING, type ModuleType } from '../values/module.js';
import { signedOf } from '../values/value-integers.js';
import { Chain } from './chain.js';
import { JsonDigest } from './json-digest.js';
import { TIME_SERIES_VERSIONS, TimeSeriesParts } from './time-series.js';

const MODULE = REDIS_TYPES.indexOf('module');

/** Versions of ReJSON-RL that hold a JSON text; of version 2, a schema may follow. */
const JSON_TEXTS: ReadonlySet<number> = new Set([2, 3]);

/** Bytes. */
const PIECE = 1 << 12;
/** The string of a TopK with its heap; the first one has its buckets. */
const HEAP = 1;
/** Bytes of an entry of the heap, and where the address in it is (RedisBloom topk.h, HeapBucket). */
const HEAP_ENTRY = 24;
const ADDRESS = 8;
const ADDRESS_END = 16;

/**
 * Folds the parts of a module value into a chain. They are taken as they are, with the version of their format, but for what differs
 * between payloads of the same value: JSON counts by its meaning, in a TopK the addresses of memory do not count, of a time series neither
 * rules nor its source.
 */
export class ModuleDigest {
  private kind: 'payload' | 'json' | 'topk' | 'series' = 'payload';
  private readonly json: JsonDigest;
  private readonly series: TimeSeriesParts;
  /** One part of a time series, what counts of them, and all. */
  private readonly single: Chain;
  private readonly kept: Chain;
  /** Takes the current string. */
  private target: Chain;
  /** Strings before this part. */
  private strings = 0;
  /** Bytes before a piece of the current string. */
  private at = 0;
  private readonly masked = new Uint8Array(PIECE);

  constructor(
    private readonly chain: Chain,
    domains: Int32Array,
    codec: Codec,
  ) {
    this.json = new JsonDigest(domains, codec);
    this.single = new Chain(domains, codec);
    this.kept = new Chain(domains, codec);
    this.series = new TimeSeriesParts((digest) => this.kept.words(digest));
    this.target = chain;
  }

  begin({ name, version }: ModuleType): void {
    this.strings = 0;
    this.kind = 'payload';
    if (name === 'ReJSON-RL' && JSON_TEXTS.has(version)) this.kind = 'json';
    if (name === 'TopK-TYPE' && version === 0) this.kind = 'topk';
    if (name === 'TSDB-TYPE' && TIME_SERIES_VERSIONS.has(version)) this.kind = 'series';
    this.chain.begin(MODULE).bytes(Buffer.from(name), 0, name.length);
    if (this.kind === 'payload' || this.kind === 'topk') this.chain.count(version);
    if (this.kind === 'series') {
      this.series.begin();
      this.kept.begin(MODULE);
    }
  }

  end(): void {
    if (this.kind === 'series' && this.series.isWhole) this.chain.begin(MODULE).words(this.kept.state);
  }

  part(opcode: number, element: Element): void {
    if (opcode === MODULE_STRING) {
      if (element.kind === LARGE) return; // it came in pieces
      this.open();
      this.chain.inflated(element);
      this.piece(element.bytes, element.start, element.end);
      this.close();
      return;
    }
    if (this.kind === 'json') return; // whether a schema follows
    const target = this.begun(opcode);
    if (element.kind === DOUBLE) target.double(element.num);
    else target.integer(element);
    if (this.kind === 'series') this.seriesPart(opcode, element.kind === INT64 ? signedOf(element) : element.num);
  }

  /** A string begins. */
  open(): void {
    this.at = 0;
    if (this.kind !== 'json') this.target = this.begun(MODULE_STRING).open();
    else if (this.strings === 0) this.json.begin();
  }

  piece(bytes: Uint8Array, start: number, end: number): void {
    if (this.kind === 'topk' && this.strings === HEAP) this.heap(bytes, start, end);
    else if (this.kind !== 'json') this.target.piece(bytes, start, end);
    else if (this.strings === 0) this.json.add(bytes, start, end);
    this.at += end - start;
  }

  close(): void {
    if (this.kind !== 'json') this.target.close();
    else if (this.strings === 0) this.chain.words(this.json.end());
    if (this.kind === 'series') this.seriesPart(MODULE_STRING, this.at);
    this.strings++;
  }

  /** The chain for a part, after its opcode. */
  private begun(opcode: number): Chain {
    return (this.kind === 'series' ? this.single.begin(MODULE) : this.chain).count(opcode);
  }

  private seriesPart(opcode: number, value: number): void {
    this.chain.words(this.single.state);
    this.series.part(opcode, value, this.single.state);
  }

  /** The heap of a TopK: structures that hold an address, another one after each restart. */
  private heap(bytes: Uint8Array, start: number, end: number): void {
    const { masked, target } = this;
    let { at } = this;
    for (let from = start; from < end; from += PIECE) {
      const size = Math.min(PIECE, end - from);
      for (let i = 0; i < size; i++, at++) {
        const place = at % HEAP_ENTRY;
        masked[i] = place >= ADDRESS && place < ADDRESS_END ? 0 : bytes[from + i];
      }
      target.piece(masked, 0, size);
    }
  }
}
