import { utf8Length } from './json.js';

/** Checks whether bytes in pieces are valid UTF-8 so far. */
export class Utf8Checker {
  /** False once no continuation can make the text valid. */
  valid = true;
  /** The beginning of a character that the last piece cut. */
  private readonly cut = new Uint8Array(4);
  private cutLength = 0;

  push(bytes: Uint8Array, start: number, end: number): void {
    let i = this.completeCut(bytes, start, end);
    while (i < end && this.valid) {
      if ((bytes[i]) < 0x80) {
        i++;
        continue;
      }
      const length = utf8Length(bytes, i, end);
      if (length > 0) i += length;
      else if (end - i < 4 && mayContinue(bytes, i, end)) {
        for (; i < end; i++) this.cut[this.cutLength++] = bytes[i];
      } else this.valid = false;
    }
  }

  /** No more bytes follow. Returns whether all of them are valid. */
  finish(): boolean {
    if (this.cutLength > 0) this.valid = false;
    return this.valid;
  }

  private completeCut(bytes: Uint8Array, start: number, end: number): number {
    let i = start;
    while (this.cutLength > 0 && i < end && this.valid) {
      this.cut[this.cutLength++] = bytes[i++];
      if (utf8Length(this.cut, 0, this.cutLength) > 0) this.cutLength = 0;
      else if (!mayContinue(this.cut, 0, this.cutLength)) this.valid = false;
    }
    return i;
  }
}

/** Whether the incomplete character `bytes[i, end)` can become a valid one: the least and greatest continuations are tried. */
function mayContinue(bytes: Uint8Array, i: number, end: number): boolean {
  const first = bytes[i];
  const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (end - i >= size) return false;
  const tried = new Uint8Array(4);
  return [0x80, 0x90, 0xa0].some((filler) => {
    tried.fill(filler);
    tried.set(bytes.subarray(i, end));
    return utf8Length(tried, 0, size) > 0;
  });
}
