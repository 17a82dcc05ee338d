import type { TypeRow } from '../rdb/types.js';
import type { Encoding, ValueEncoder } from './encoding.js';
import { TextPlace } from './places.js';

export class StringEncoder implements ValueEncoder {
  readonly place = new TextPlace((text) => this.encoding.body.string(text));

  constructor(private readonly encoding: Encoding) {}

  begin(): void {
    // one text is all
  }

  finish(): TypeRow {
    return this.encoding.choose('STRING');
  }
}
