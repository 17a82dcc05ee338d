import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { Kernels } from '../kernels/kernels.js';
import { ChunkBuffers } from '../io/chunk-buffers.js';
import { EMPTY } from '../encodings/element.js';
import { Batch } from '../rdb/batch.js';

/** The kernels, and all that one reading needs of their memory. */
export interface Workspace {
  readonly codec: Codec;
  readonly batch: Batch;
  /** Undefined without kernels. */
  readonly buffer: Uint8Array | undefined;
  readonly chunks: ChunkBuffers | undefined;
  /** Readings so far. */
  uses: number;
}

/** Holds a chunk and the record that was cut before it. */
const INPUT_SIZE = 4 << 20;

/** Rows of a batch without kernels: a small input has few. */
const FEW_ROWS = 1 << 6;

/** What readers take of the memory is taken for good, so after as many readings another workspace is made. */
const MOST_USES = 8;

/** Kernel memory is slow to get, and there is not much of it: the last one is used again, unless the garbage collector had it. */
let idle: WeakRef<Workspace> | undefined;

/** A workspace for one reading; for a small input one without kernels. Whoever takes it gives it back. */
export function takeWorkspace(isSmall: boolean): Workspace {
  const found = isSmall ? undefined : idle?.deref();
  if (found !== undefined) {
    idle = undefined;
    found.batch.clear(EMPTY, new Map());
    return found;
  }
  const codec = isSmall ? undefined : Kernels.create();
  if (codec === undefined) return { codec: TS_CODEC, batch: new Batch(TS_CODEC, FEW_ROWS), buffer: undefined, chunks: undefined, uses: 0 };
  return { codec, batch: new Batch(codec), buffer: codec.allocate(INPUT_SIZE), chunks: new ChunkBuffers(codec), uses: 0 };
}

export function giveBack(workspace: Workspace): void {
  if (workspace.chunks !== undefined && ++workspace.uses < MOST_USES) idle = new WeakRef(workspace);
}
