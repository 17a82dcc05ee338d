/** The keys with the greatest values: a heap whose least value is on top. Ties keep the key that came first. */
export class TopKeys<K> {
  /** What a key must exceed to get in. */
  least: number;
  private readonly values: number[] = [];
  private readonly keys: K[] = [];

  constructor(private readonly size: number) {
    this.least = size === 0 ? Infinity : -1;
  }

  add(value: number, key: K): void {
    if (!(value > this.least)) return;
    const { keys, values } = this;
    if (values.length < this.size) {
      values.push(value);
      keys.push(key);
      this.rise(values.length - 1);
    } else {
      values[0] = value;
      keys[0] = key;
      this.sink();
    }
    if (values.length === this.size) this.least = values[0];
  }

  /** Greatest first. */
  get sorted(): readonly K[] {
    const order = this.values.map((_, i) => i).sort((a, b) => this.values[b] - this.values[a]);
    return order.map((i) => this.keys[i]);
  }

  private rise(from: number): void {
    for (let i = from; i > 0;) {
      const parent = (i - 1) >> 1;
      if (this.values[parent] <= this.values[i]) return;
      this.swap(i, parent);
      i = parent;
    }
  }

  private sink(): void {
    const { length } = this.values;
    for (let i = 0; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < length && this.values[child] < this.values[least]) least = child;
      if (least === i) return;
      this.swap(i, least);
      i = least;
    }
  }

  private swap(a: number, b: number): void {
    const { keys, values } = this;
    [values[a], values[b]] = [values[b], values[a]];
    [keys[a], keys[b]] = [keys[b], keys[a]];
  }
}
