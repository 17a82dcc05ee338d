/** A key of the source. */
export interface KeyName {
  readonly db: number;
  readonly key: Uint8Array;
}

/** The database and the bytes of a key, as one string. */
export const keyId = (db: number, bytes: Uint8Array, start = 0, end = bytes.length): string =>
  `${db} ${Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')}`;

/**
 * Keys whose value on the target is, or is about to be, that of the source at a later offset than the stream is at. Commands on them up
 * to there are not sent. A key is wanted until it was fetched; then it is fenced up to the offset of its value.
 */
export class Fences {
  /** Keys to be fetched. */
  readonly wanted = new Map<string, KeyName>();
  /** Those of them that the target was not told of. */
  private unrecorded: KeyName[] = [];
  private readonly fenced = new Map<string, KeyName & { readonly offset: number }>();
  /** No fence reaches beyond it. */
  private last = -1;

  get empty(): boolean {
    return this.fenced.size === 0 && this.wanted.size === 0;
  }

  get size(): number {
    return this.fenced.size;
  }

  want(db: number, key: Uint8Array): void {
    const id = keyId(db, key);
    if (this.wanted.has(id)) return;
    const name = { db, key };
    this.wanted.set(id, name);
    this.unrecorded.push(name);
  }

  /** Keys that came to be wanted since this was asked last, and still are. */
  takeUnrecorded(): readonly KeyName[] {
    const { unrecorded, wanted } = this;
    if (unrecorded.length === 0) return unrecorded;
    this.unrecorded = [];
    return unrecorded.filter(({ db, key }) => wanted.has(keyId(db, key)));
  }

  /** Whether the target has, or will have, a value of the key from after a command that ends at this offset. */
  has(db: number, bytes: Uint8Array, start: number, end: number, offset: number): boolean {
    const id = keyId(db, bytes, start, end);
    if (this.wanted.has(id)) return true;
    const fence = this.fenced.get(id);
    return fence !== undefined && offset <= fence.offset;
  }

  /** All keys, those that are wanted with this offset: what the target has to know of them. */
  all(offset: number): (KeyName & { readonly offset: number })[] {
    return [...this.fenced.values(), ...[...this.wanted.values()].map((name) => ({ ...name, offset }))];
  }

  /** The key has the value of the source at this offset. */
  set({ db, key }: KeyName, offset: number): void {
    const id = keyId(db, key);
    this.wanted.delete(id);
    this.fenced.set(id, { db, key, offset });
    this.last = Math.max(this.last, offset);
  }

  /** Removes the fences that the stream has passed, and returns them. */
  passed(offset: number): KeyName[] {
    if (this.fenced.size === 0 || (offset < this.last && this.fenced.size < MANY)) return [];
    const done: KeyName[] = [];
    for (const [id, fence] of this.fenced) {
      if (fence.offset > offset) continue;
      this.fenced.delete(id);
      done.push(fence);
    }
    return done;
  }

  /** Whether the value of a key was fetched, and the stream has not passed it. */
  wasFetched(id: string): boolean {
    return this.fenced.has(id);
  }

  /** Removes the fences of keys that are concerned, and returns them. Keys that are wanted stay so. */
  forget(concerned: (name: KeyName) => boolean): KeyName[] {
    const gone: KeyName[] = [];
    for (const [id, fence] of this.fenced) {
      if (!concerned(fence)) continue;
      this.fenced.delete(id);
      gone.push(fence);
    }
    return gone;
  }

  clear(): void {
    this.wanted.clear();
    this.unrecorded = [];
    this.fenced.clear();
    this.last = -1;
  }
}

/** With more fences, those passed are looked for at each turn. */
const MANY = 20_000;
