import type { StreamId } from '../../encodings/stream.js';

const KEY_BYTES = 16;

/** Bytes of a node (redis rax.c, raxNodeCurrentLength): a header and `bytes` of keys, padded to 8, and pointers. */
const nodeSize = (bytes: number, pointers: number): number => ((4 + bytes + 7) & ~7) + 8 * pointers;

/**
 * Counts the nodes of a radix tree (redis rax.c) whose keys are stream IDs, given in ascending order: one for each key, one for each
 * place where keys part, and one for each run of bytes that all keys below it share and that is not yet in the node above.
 */
export class RaxCount {
  /** Keys. */
  keys = 0;
  nodes = 0;
  /** Of all nodes, as allocated. */
  bytes = 0;
  /** Where the keys seen last part from each other, ascending, and into how many branches so far. */
  private readonly depths: number[] = [];
  private readonly branches: number[] = [];
  private readonly last = new Uint32Array(4);

  constructor(private readonly alloc: (size: number) => number) {}

  clear(): void {
    this.keys = this.nodes = this.bytes = this.depths.length = this.branches.length = 0;
  }

  add({ msHi, msLo, seqHi, seqLo }: StreamId): void {
    if (this.keys++ > 0) this.part(this.shared(msHi, msLo, seqHi, seqLo));
    const { last } = this;
    last[0] = msHi;
    last[1] = msLo;
    last[2] = seqHi;
    last[3] = seqLo;
  }

  /** Must be called after the last key. */
  end(): this {
    if (this.keys === 0) this.node(0, 0);
    else this.part(-1);
    return this;
  }

  /** The key after the last one has `shared` bytes in common with it, -1 if there is none. */
  private part(shared: number): void {
    const { branches, depths } = this;
    this.node(0, 1); // the last key's own
    let below = KEY_BYTES;
    let top = depths.at(-1) ?? -1;
    while (top > shared) {
      this.edge(top, below);
      const children = 1 + (branches.pop() ?? 0);
      this.node(children, children);
      depths.pop();
      below = top;
      top = depths.at(-1) ?? -1;
    }
    this.edge(shared, below);
    if (top === shared && top >= 0) {
      branches[branches.length - 1]++;
    } else if (shared >= 0) {
      depths.push(shared);
      branches.push(1);
    }
  }

  /** From where keys part, which takes a byte, to where they part again or end; bytes between are a node. */
  private edge(from: number, to: number): void {
    if (to - from > 1) this.node(to - from - 1, 1);
  }

  private node(bytes: number, pointers: number): void {
    this.nodes++;
    this.bytes += this.alloc(nodeSize(bytes, pointers));
  }

  private shared(msHi: number, msLo: number, seqHi: number, seqLo: number): number {
    const { last } = this;
    if (last[0] !== msHi) return Math.clz32(last[0] ^ msHi) >> 3;
    if (last[1] !== msLo) return 4 + (Math.clz32(last[1] ^ msLo) >> 3);
    if (last[2] !== seqHi) return 8 + (Math.clz32(last[2] ^ seqHi) >> 3);
    return Math.min(KEY_BYTES - 1, 12 + (Math.clz32(last[3] ^ seqLo) >> 3));
  }
}
