import { SetRun } from './set-run.js';

/** Ranges at least this long are sent as they are; shorter ones are copied together. */
const COPIED = 4096;
/** Bytes of a room for copies, and rooms that are kept to be used again: as many as can be on their way. */
const ROOM = 1 << 17;
const MOST_SPARE = 64;

/** What is sent at once. */
export interface Taken {
  readonly parts: Uint8Array[];
  /** Commands, and bytes, in them. */
  readonly commands: number;
  readonly size: number;
  /** Rooms that no later one has bytes in: when it is answered, they go to `giveBack`. */
  readonly rooms: readonly Uint8Array[];
}

/** Bytes to be sent, from ranges of other buffers, which must not change until they are. Neighbours in one buffer become one range. */
export class Outgoing {
  size = 0;
  /** Commands in it. */
  commands = 0;
  private parts: Uint8Array[] = [];
  private room: Uint8Array = NONE;
  private roomFrom = 0;
  private roomEnd = 0;
  /** Full rooms, since the last `take`; and answered ones. */
  private full: Uint8Array[] = [];
  private readonly spare: Uint8Array[] = [];
  /** The range that the next one may continue. */
  private bytes: Uint8Array = NONE;
  private start = 0;
  private end = 0;
  /** The last commands of that range, if they are SETs that can be an MSET. */
  private run: SetRun | undefined;

  /** From now on, SETs that follow one another are sent as an MSET, which is one command then. */
  joinSets(): void {
    this.run = new SetRun();
  }

  /** Appends a command. */
  add(bytes: Uint8Array, start: number, end: number): void {
    if (bytes !== this.bytes || start !== this.end) {
      this.settle();
      this.bytes = bytes;
      this.start = start;
    }
    this.commands++;
    this.size += end - start;
    const { run } = this;
    if (run !== undefined && !run.take(bytes, start, end) && run.count > 0) {
      this.endRun(run);
      run.take(bytes, start, end);
    }
    this.end = end;
  }

  /** Appends bytes in which `commands` commands begin; the last one may continue in what is added next. */
  addPart(bytes: Uint8Array, commands: number): void {
    this.settle();
    this.commands += commands;
    this.size += bytes.length;
    this.copy(bytes, 0, bytes.length);
  }

  private endRun(run: SetRun): void {
    if (run.isLong) {
      const { bytes, end } = this;
      this.copy(bytes, this.start, run.from);
      this.reserve(run.room);
      const at = this.roomEnd;
      this.roomEnd = run.writeMset(bytes, this.room, at);
      this.commands -= run.count - 1;
      this.size += this.roomEnd - at - (end - run.from);
      this.start = end;
    }
    run.count = 0;
  }

  private settle(): void {
    if (this.run !== undefined) this.endRun(this.run);
    this.copy(this.bytes, this.start, this.end);
    this.start = this.end = 0;
    this.bytes = NONE;
  }

  private copy(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (size === 0) return;
    if (size >= COPIED) {
      this.seal();
      this.parts.push(bytes.subarray(start, end));
    } else {
      this.reserve(size);
      this.room.set(bytes.subarray(start, end), this.roomEnd);
      this.roomEnd += size;
    }
  }

  /** The room has this many bytes left. */
  private reserve(size: number): void {
    if (this.roomEnd + size <= this.room.length) return;
    this.seal();
    if (this.room !== NONE) this.full.push(this.room);
    this.room = this.spare.pop() ?? new Uint8Array(ROOM);
    this.roomFrom = this.roomEnd = 0;
  }

  private seal(): void {
    if (this.roomEnd > this.roomFrom) this.parts.push(this.room.subarray(this.roomFrom, this.roomEnd));
    this.roomFrom = this.roomEnd;
  }

  /** Hands over what was added; it is empty then. */
  take(): Taken {
    this.settle();
    this.seal();
    const { commands, full, parts, size } = this;
    this.parts = [];
    this.full = [];
    this.size = this.commands = 0;
    return { parts, commands, size, rooms: full };
  }

  /** Uses rooms again. What was taken before is answered: nobody reads it any more. */
  giveBack(rooms: readonly Uint8Array[]): void {
    if (this.spare.length < MOST_SPARE) this.spare.push(...rooms);
  }
}

const NONE = new Uint8Array(0);
