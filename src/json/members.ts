import { randomInt } from 'node:crypto';
import { blocks } from '../bytes/blocks.js';
import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { murmur3, type Words128 } from '../bytes/murmur3.js';
import { uint32 } from '../encodings/element.js';
import { Spill } from '../io/spill.js';
import { DigestSet } from '../values/digest-set.js';
import type { Text } from './read-text.js';

/** Digests in memory at a time: some 46 MB. */
const MOST_IN_MEMORY = 1 << 20;
const DIGEST = 16;
const ROW = 1 << 16;

/**
 * Says of the members of one set, sorted set or hash whether one comes twice, which servers refuse to load. They are told by
 * digests of 128 bits, up to a million in memory; those of a larger value are put aside and looked through at its end.
 */
export class Members {
  private readonly digests: DigestSet;
  private readonly seed = randomInt(2 ** 32);
  private readonly words: Words128 = [0, 0, 0, 0];
  private readonly rows = new ByteBuilder();
  private spill: Spill | undefined;
  count = 0;

  /** `what` a member is called, like "a field". */
  constructor(
    private readonly what: string,
    private readonly most = MOST_IN_MEMORY,
  ) {
    this.digests = new DigestSet(64);
  }

  begin(): void {
    this.digests.clear();
    this.rows.clear();
    this.spill?.close();
    this.spill = undefined;
    this.count = 0;
  }

  /** Throws RdbError for one that was there before, where that can be known by now. */
  add(text: Text): void {
    const { element, spilled } = text;
    const { words } = this;
    if (element !== undefined) murmur3(element.bytes, element.start, element.end, this.seed, words);
    else if (spilled !== undefined) this.digestOf(spilled);
    this.count++;
    if (this.spill === undefined) {
      if (!this.digests.add(words)) throw this.again(`${this.what} that was there before`);
      if (this.digests.size < this.most) return;
      this.spill = new Spill(); // later ones are put aside
      return;
    }
    for (const word of words) this.rows.le(word, 4);
    if (this.rows.length >= ROW) this.putAside(this.spill);
  }

  /** Of a large one: the digest of the digests of its pieces, which are all of one size. */
  private digestOf(spilled: Spill): void {
    const all = new ByteBuilder();
    for (const block of blocks(spilled.read(), ROW)) {
      murmur3(block, 0, block.length, this.seed, this.words);
      for (const word of this.words) all.le(word, 4);
    }
    murmur3(all.bytes, 0, all.length, this.seed, this.words);
  }

  private putAside(spill: Spill): void {
    spill.add(this.rows.bytes, 0, this.rows.length);
    this.rows.clear();
  }

  /** The end of the value. Throws RdbError where one came twice. */
  end(): void {
    const { digests, spill } = this;
    if (spill === undefined) return;
    this.putAside(spill);
    // those in memory come first, then as many as there is room for at a time
    this.look(spill, 1, 0, (row) => !digests.has(row));
    const passes = Math.ceil(spill.size / DIGEST / this.most);
    for (let pass = 0; pass < passes; pass++) {
      digests.empty();
      this.look(spill, passes, pass, (row) => digests.add(row));
    }
    this.begin();
  }

  /** Through the digests whose last word leaves this rest. */
  private look(spill: Spill, divisor: number, rest: number, isNew: (row: Readonly<Words128>) => boolean): void {
    const row: Words128 = [0, 0, 0, 0];
    for (const piece of spill.read(ROW)) {
      for (let at = 0; at < piece.length; at += DIGEST) {
        row[3] = uint32(piece, at + 12);
        if (row[3] % divisor !== rest) continue;
        for (let word = 0; word < 3; word++) row[word] = uint32(piece, at + 4 * word);
        if (!isNew(row)) throw this.again(`one of the ${this.count} that comes twice`);
      }
    }
  }

  private again(got: string): RdbError {
    return new RdbError('BAD_LINE', { expected: `${this.what} once`, got });
  }
}
