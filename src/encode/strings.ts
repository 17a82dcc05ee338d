import type { TypeRow } from '../rdb/types.js';
import { addText, type LineEncoding, type ValueEncoder } from './encoding.js';
import { TextPlace } from './places.js';

export class StringEncoder implements ValueEncoder {
  readonly place = new TextPlace((text) => addText(this.encoding.body, text));

  constructor(private readonly encoding: LineEncoding) {}

  begin(): void {
    // one text is all
  }

  finish(): TypeRow {
    return this.encoding.choose('STRING');
  }
}
