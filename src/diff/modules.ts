import type { Element } from '../encodings/element.js';
import { DOUBLE, LARGE } from '../encodings/element.js';
import { DOMAIN_JSON } from '../kernels/layout.js';
import { REDIS_TYPES } from '../rdb/types.js';
import { MODULE_STRING, type ModuleType } from '../values/module.js';
import type { Chain } from './chain.js';

/**
 * Folds the parts of a module value into a chain. Most of them are taken as they are, with the version of their format; what differs
 * between two payloads of the same value is left out.
 */
export class ModuleDigest {
  private kind: 'payload' | 'json' | 'topk' = 'payload';
  /** Strings before this part. */
  private strings = 0;
  /** Bytes before a piece of the current string. */
  private at = 0;
  private readonly masked = new Uint8Array(PIECE);

  constructor(private readonly chain: Chain) {}

  begin({ name, version }: ModuleType): void {
    this.strings = 0;
    this.kind = 'payload';
    if (name === 'ReJSON-RL' && (version === 2 || version === 3)) this.kind = 'json';
    if (name === 'TopK-TYPE' && version === 0) this.kind = 'topk';
    if (this.kind === 'json') this.chain.begin(DOMAIN_JSON);
    else this.chain.begin(MODULE).bytes(Buffer.from(name), 0, name.length).count(version);
  }

  part(opcode: number, element: Element): void {
    const { chain } = this;
    if (opcode !== MODULE_STRING) {
      if (this.kind === 'json') return; // version 2: whether a schema follows
      chain.count(opcode);
      if (element.kind === DOUBLE) chain.double(element.num);
      else chain.integer(element);
    } else if (element.kind !== LARGE) {
      this.open();
      chain.inflated(element);
      this.piece(element.bytes, element.start, element.end);
      this.close();
    }
  }

  open(): void {
    this.at = 0;
    if (this.isLeftOut) return;
    if (this.kind !== 'json') this.chain.count(MODULE_STRING);
    this.chain.open();
  }

  piece(bytes: Uint8Array, start: number, end: number): void {
    if (this.isLeftOut) return;
    if (this.kind === 'topk' && this.strings === TOPK_HEAP) this.heap(bytes, start, end);
    else this.chain.piece(bytes, start, end);
    this.at += end - start;
  }

  close(): void {
    if (!this.isLeftOut) this.chain.close();
    this.strings++;
  }

  /** What follows a JSON text: nothing that it means. */
  private get isLeftOut(): boolean {
    return this.kind === 'json' && this.strings > 0;
  }

  /** The heap of a TopK: structures that hold an address, which is another one after each restart. */
  private heap(bytes: Uint8Array, start: number, end: number): void {
    const { chain, masked } = this;
    let { at } = this;
    for (let from = start; from < end; from += PIECE) {
      const size = Math.min(PIECE, end - from);
      for (let i = 0; i < size; i++, at++) {
        const place = at % HEAP_ENTRY;
        masked[i] = place >= ADDRESS && place < ADDRESS_END ? 0 : bytes[from + i];
      }
      chain.piece(masked, 0, size);
    }
  }
}

const MODULE = REDIS_TYPES.indexOf('module');
/** Bytes. */
const PIECE = 1 << 12;
/** The string of a TopK with its heap; the first one has its buckets. */
const TOPK_HEAP = 1;
/** Bytes of an entry of the heap, and where the address in it is (RedisBloom topk.h, HeapBucket). */
const HEAP_ENTRY = 24;
const ADDRESS = 8;
const ADDRESS_END = 16;
