/** The keys with the greatest values; of equal ones those that came first. A heap, with the one on top that goes first. */
export class TopKeys<K> {
  /** What a key must exceed to get in. */
  least: number;
  private readonly values: number[] = [];
  private readonly keys: K[] = [];
  /** How many were added before each. */
  private readonly orders: number[] = [];
  private added = 0;

  constructor(private readonly size: number) {
    this.least = size === 0 ? Infinity : -1;
  }

  add(value: number, key: K): void {
    if (!(value > this.least)) return;
    const { keys, orders, values } = this;
    if (values.length < this.size) {
      values.push(value);
      keys.push(key);
      orders.push(this.added++);
      this.rise(values.length - 1);
    } else {
      values[0] = value;
      keys[0] = key;
      orders[0] = this.added++;
      this.sink();
    }
    if (values.length === this.size) this.least = values[0];
  }

  /** Greatest first, equal ones in the order in which they came. */
  get sorted(): readonly K[] {
    const order = this.values.map((_, i) => i).sort((a, b) => (this.goesFirst(a, b) ? 1 : -1));
    return order.map((i) => this.keys[i]);
  }

  /** Whether what is at `a` goes before what is at `b`: its value is less, or equal and later. */
  private goesFirst(a: number, b: number): boolean {
    const { orders, values } = this;
    return values[a] < values[b] || (values[a] === values[b] && orders[a] > orders[b]);
  }

  private rise(from: number): void {
    for (let i = from; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!this.goesFirst(i, parent)) return;
      this.swap(i, parent);
      i = parent;
    }
  }

  private sink(): void {
    const { length } = this.values;
    for (let i = 0; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < length && this.goesFirst(child, least)) least = child;
      if (least === i) return;
      this.swap(i, least);
      i = least;
    }
  }

  private swap(a: number, b: number): void {
    const { keys, orders, values } = this;
    [orders[a], orders[b]] = [orders[b], orders[a]];
    [values[a], values[b]] = [values[b], values[a]];
    [keys[a], keys[b]] = [keys[b], keys[a]];
  }
}
