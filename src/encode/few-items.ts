import { addString } from '../rdb/write-string.js';
import { type Encoding, isShort, Small } from './encoding.js';
import type { Text } from './text.js';

/** Items of a list or set: held while they are few and short, since such a value may be packed, and else in the body, one behind another. */
export class FewItems {
  readonly small = new Small();
  count = 0;
  /** Whether all of them are held. */
  areHeld = true;

  /** @param most as many are held */
  constructor(
    private readonly encoding: Encoding,
    private readonly most: number,
  ) {}

  begin(): void {
    this.small.begin();
    this.count = 0;
    this.areHeld = true;
  }

  add(text: Text): void {
    this.count++;
    if (this.areHeld && this.count <= this.most && isShort(text.element)) {
      this.small.add(text.element);
      return;
    }
    this.spread();
    this.encoding.body.string(text);
  }

  /** Puts those that are held into the body, as it is without packing. */
  spread(): void {
    if (!this.areHeld) return;
    this.areHeld = false;
    const { encoding, small } = this;
    for (let i = 0; i < small.count; i++) addString(encoding.body.out, small.at(i));
  }

  /** Writes those that are held as one packed value. */
  pack(writer: Encoding['listpack'] | Encoding['ziplist']): void {
    const { encoding, small } = this;
    writer.begin();
    for (let i = 0; i < small.count; i++) writer.add(small.at(i));
    encoding.body.packed(writer.finish());
  }
}
