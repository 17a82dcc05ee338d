import { RdbError } from '../bytes/errors.js';

/** The bytes behind the end of an RDB. */
export class Trailing {
  private size = 0;
  private head = '';

  add(bytes: Uint8Array): void {
    this.head += String.fromCharCode(...bytes.subarray(0, Math.max(0, 6 - this.head.length)));
    this.size += bytes.length;
  }

  /**
   * An AOF may follow the RDB that it begins with: says so, or nothing where nothing follows. Another RDB is an accident, its
   * keys would be lost: throws.
   */
  check(strict: boolean, offset: number): string | undefined {
    if (this.size === 0) return undefined;
    const anotherRdb = /^(?:REDIS|VALKEY)/.test(this.head);
    const got = `${this.size} bytes more${anotherRdb ? ', which begin like another RDB' : ''}`;
    if (anotherRdb || strict) throw new RdbError('TRAILING_DATA', { offset, expected: 'the end of the input', got });
    return `${got} follow the end of the RDB at offset ${offset} and are not read`;
  }
}
