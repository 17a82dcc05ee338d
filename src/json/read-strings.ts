import type { TypeRow } from '../rdb/types.js';
import { TEXT } from '../values/layouts.js';
import { StringWriter } from '../values/writers/strings.js';
import { elementOf, type LineEncoding, type ValueEncoder } from './value-encoder.js';
import { TextPlace } from './places.js';

export class StringEncoder implements ValueEncoder {
  readonly place = new TextPlace((text) => this.writer.text(elementOf(text, TEXT, this.writer, this.encoding)));
  private readonly writer: StringWriter;

  constructor(private readonly encoding: LineEncoding) {
    this.writer = new StringWriter(encoding);
  }

  begin(): void {
    // one text is all
  }

  finish(): TypeRow {
    return this.writer.finish();
  }
}
