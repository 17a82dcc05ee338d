/** Ranges at least this long are sent as they are; shorter ones are copied together. */
const COPIED = 4096;
const ROOM = 1 << 16;

/** Bytes to be sent, from ranges of other buffers, which must not change until they are. Neighbours in one buffer become one range. */
export class Outgoing {
  size = 0;
  /** Commands in it. */
  commands = 0;
  private parts: Uint8Array[] = [];
  private room = NONE;
  private roomFrom = 0;
  private roomEnd = 0;
  /** The range that the next one may continue. */
  private bytes: Uint8Array = NONE;
  private start = 0;
  private end = 0;

  /** Appends a command, or bytes with this many commands in them. */
  add(bytes: Uint8Array, start: number, end: number, commands = 1): void {
    this.commands += commands;
    this.size += end - start;
    if (bytes === this.bytes && start === this.end) {
      this.end = end;
      return;
    }
    this.settle();
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  private settle(): void {
    const { bytes, end, start } = this;
    const size = end - start;
    if (size === 0) return;
    if (size >= COPIED) {
      this.seal();
      this.parts.push(bytes.subarray(start, end));
    } else {
      if (this.roomEnd + size > this.room.length) {
        this.seal();
        this.room = new Uint8Array(ROOM);
        this.roomFrom = this.roomEnd = 0;
      }
      this.room.set(bytes.subarray(start, end), this.roomEnd);
      this.roomEnd += size;
    }
    this.start = this.end = 0;
    this.bytes = NONE;
  }

  private seal(): void {
    if (this.roomEnd > this.roomFrom) this.parts.push(this.room.subarray(this.roomFrom, this.roomEnd));
    this.roomFrom = this.roomEnd;
  }

  /** Hands over what was added; it is empty then. */
  take(): Uint8Array[] {
    this.settle();
    this.seal();
    const { parts } = this;
    this.parts = [];
    this.size = this.commands = 0;
    return parts;
  }
}

const NONE = new Uint8Array(0);
