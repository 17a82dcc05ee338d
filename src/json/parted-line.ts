import { PartTokens, type Token } from './tokens.js';
import { Spill } from '../io/spill.js';
import { TypeScan } from './type-scan.js';

/** Bytes that are made tokens at a time: these are larger. */
const SLICE = 1 << 14;

/** Who is told of a line: the type first, wherever it stands in the line, and then all tokens. */
export interface PartedLineTaker {
  begin(type: string | undefined): void;
  take(tokens: readonly Token[]): void;
}

/** One line that comes in parts. Until its type is known, they are put aside. Offsets in errors count from the beginning of the line. */
export class PartedLine {
  private readonly held = new Spill();
  private readonly scan = new TypeScan();
  private readonly scanned = new PartTokens();
  private readonly tokens = new PartTokens();
  private started = false;
  /** Offset of the current part in the line. */
  private offset = 0;

  constructor(private readonly taker: PartedLineTaker) {}

  /** Throws RdbError where the line is not JSON, and what the taker throws. */
  add(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += SLICE) this.slice(bytes, at, Math.min(end, at + SLICE));
  }

  /** The line is complete. */
  end(): void {
    if (!this.started) this.start();
    this.taker.take(this.tokens.end(this.offset));
  }

  private slice(bytes: Uint8Array, start: number, end: number): void {
    const { offset } = this;
    this.offset += end - start;
    if (this.started) {
      this.taker.take(this.tokens.read(bytes, start, end, offset));
      return;
    }
    this.held.add(bytes, start, end);
    if (this.scan.take(this.scanned.read(bytes, start, end, offset))) this.start();
  }

  /** The type is known, or the line has none. */
  private start(): void {
    this.started = true;
    this.taker.begin(this.scan.type);
    let at = 0;
    for (const piece of this.held.drain(SLICE)) {
      this.taker.take(this.tokens.read(piece, 0, piece.length, at));
      at += piece.length;
    }
  }

  /** Lets go of what was put aside. */
  close(): void {
    this.held.close();
  }
}
