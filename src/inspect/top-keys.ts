export interface TopKey<K> {
  readonly value: number;
  /** Where it was in the input. */
  readonly place: number;
  readonly key: K;
}

/**
 * The keys with the greatest values: a heap with the one on top that would be the first to go. Of keys with the same value, those stay
 * whose place comes first.
 */
export class TopKeys<K> {
  /** What a key must exceed to get in. */
  least: number;
  /** In no order. */
  readonly entries: TopKey<K>[] = [];
  private added = 0;

  constructor(private readonly size: number) {
    this.least = size === 0 ? Infinity : -1;
  }

  /** Keys in the order of their places; `place`: its number unless given. */
  add(value: number, key: K, place = this.added++): void {
    if (value > this.least) this.put({ value, place, key });
  }

  /** Adds keys of another list, in any order. */
  merge(others: readonly TopKey<K>[]): void {
    for (const other of others) {
      if (this.entries.length < this.size || (this.size > 0 && goesBefore(this.entries[0], other))) this.put(other);
    }
  }

  private put(entry: TopKey<K>): void {
    const { entries, size } = this;
    if (entries.length < size) {
      entries.push(entry);
      this.rise(entries.length - 1);
    } else {
      entries[0] = entry;
      this.sink();
    }
    if (entries.length === size) this.least = entries[0].value;
  }

  /** Greatest first, equal ones in the order in which they came. */
  get sorted(): readonly K[] {
    return [...this.entries].sort((a, b) => b.value - a.value || a.place - b.place).map(({ key }) => key);
  }

  private rise(from: number): void {
    const { entries } = this;
    for (let i = from; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!goesBefore(entries[i], entries[parent])) return;
      this.swap(i, parent);
      i = parent;
    }
  }

  private sink(): void {
    const { entries } = this;
    for (let i = 0; ;) {
      let first = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < entries.length && goesBefore(entries[child], entries[first])) first = child;
      if (first === i) return;
      this.swap(i, first);
      i = first;
    }
  }

  private swap(a: number, b: number): void {
    const { entries } = this;
    [entries[a], entries[b]] = [entries[b], entries[a]];
  }
}

/** Whether `a` has to go before `b` has. */
function goesBefore(a: TopKey<unknown>, b: TopKey<unknown>): boolean {
  return a.value < b.value || (a.value === b.value && a.place > b.place);
}
