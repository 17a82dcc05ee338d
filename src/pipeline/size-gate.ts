import { type Frame, type FramerOptions, NEED } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import type { RecordSink } from './sink.js';
import { Spill } from '../io/spill.js';

/**
 * Holds the parts of a value back until it is known whether its size passes, and then lets them through as they came.
 * Sizes are those of the value as it stands in the file.
 */
export class SizeGate {
  private readonly held = new Spill();
  private size = 0;
  private framer: Framer | undefined;
  /** Whether the value was let through or turned away. */
  private decided: boolean | undefined;

  constructor(
    private readonly sink: RecordSink,
    private readonly options: FramerOptions,
    private readonly min: number,
    private readonly max: number,
  ) {}

  /** Takes a part. Returns whether the value passes, once it is known. */
  async part(frame: Frame): Promise<boolean | undefined> {
    if (frame.first) {
      this.held.close();
      this.size = 0;
      this.decided = undefined;
      this.framer = Framer.ofValue(frame, this.options);
    }
    if (this.decided === false) return false;
    this.size += frame.end - frame.start;
    this.held.add(frame.bytes, frame.start, frame.end);
    if (this.size > this.max || (frame.last && this.size < this.min)) this.decided = false;
    else if (frame.last || (this.max === Infinity && this.size >= this.min)) this.decided = true;
    if (this.decided === true) await this.letThrough();
    else if (this.decided === false) this.held.close();
    return this.decided;
  }

  private async letThrough(): Promise<void> {
    const framer = this.framer as Framer;
    for (const piece of this.held.drain()) {
      framer.push(new Uint8Array(piece));
      for (let kind = framer.next(); kind !== NEED; kind = framer.next()) {
        this.sink.frame(kind, framer.frame);
        await this.sink.settle();
      }
    }
  }

  close(): void {
    this.held.close();
  }
}
