import { RdbError } from '../bytes/errors.js';
import type { AofMark } from './opcodes.js';
import { BEGINNING, isCommands, latin } from './beginning.js';

/** Bytes of the mark that ends a transfer whose length nobody knew before. */
const MARK = 40;

/** What follows the end of an RDB. */
export interface Tail {
  /** Bytes of commands that follow the RDB at the beginning of an AOF. */
  readonly aof: number;
  /** What to warn of. */
  readonly warning?: string;
}

/** The bytes after the end of an RDB. */
export class Trailing {
  private size = 0;
  private head = '';

  add(bytes: Uint8Array): void {
    this.head += latin(bytes, 0, Math.max(0, BEGINNING - this.head.length));
    this.size += bytes.length;
  }

  /** Bytes of commands of an AOF. */
  commands(mark: string | undefined): number {
    const { head, size } = this.following(mark);
    return isCommands(head) ? size : 0;
  }

  /** What follows the RDB and its mark, if it has one. */
  private following(mark: string | undefined): { readonly head: string; readonly size: number } {
    const { head, size } = this;
    const marked = mark === undefined ? size === MARK && /^[0-9a-f]{40}$/.test(head) : head.startsWith(mark);
    return marked ? { head: head.slice(MARK), size: size - MARK } : { head, size };
  }

  /**
   * `mark` is the one that the transfer began with: it says nothing more; redis-cli --rdb - leaves one at the end alone.
   * Another RDB is an accident, its keys would be lost: throws.
   */
  check(strict: boolean, offset: number, mark: string | undefined): Tail {
    const { head, size } = this.following(mark);
    if (size === 0) return { aof: 0 };
    const anotherRdb = /^(?:REDIS|VALKEY)/.test(head);
    const got = `${size} bytes more${anotherRdb ? ', which begin like another RDB' : ''}`;
    if (anotherRdb || strict) throw new RdbError('TRAILING_DATA', { offset, expected: 'the end of the input', got });
    const aof = this.commands(mark);
    if (aof > 0) return { aof };
    return { aof, warning: `${got} follow the end of the RDB at offset ${offset} and are not read` };
  }
}

/** What to say of the commands that follow, by their bytes. */
export const aofTailText = (bytes: number): string =>
  `AOF: ${bytes} ${bytes === 1 ? 'byte' : 'bytes'} of newer commands follow the RDB and are not read`;

/** What to say of the base of an AOF that nothing follows. */
export const AOF_BASE_TEXT: Readonly<Record<AofMark, string>> = {
  'aof-preamble': 'this is the beginning of an AOF (aof-preamble 1), but no commands follow: newer ones may be missing',
  'aof-base': 'this is the base of an AOF (aof-base 1): newer commands are in its .incr.aof files and are not read',
};
