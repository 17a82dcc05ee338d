import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { Kernels } from '../kernels/kernels.js';
import { ChunkBuffers } from '../io/chunk-buffers.js';
import { EMPTY } from '../encodings/element.js';
import { Batch } from '../rdb/batch.js';

/** The kernels, and the parts of their memory that a reading needs. */
export interface Workspace {
  readonly codec: Codec;
  readonly batch: Batch;
  /** Undefined without kernels. */
  readonly buffer: Uint8Array | undefined;
  readonly chunks: ChunkBuffers | undefined;
  /** Readings so far. */
  uses: number;
}

/** Room for a chunk and the cut record before it. */
const INPUT_SIZE = 4 << 20;

/** Rows of a batch without kernels: for small inputs. */
const FEW_ROWS = 1 << 6;

/** Memory that readers take from the kernels is never returned, so after this many readings a new workspace is made. */
const MOST_USES = 8;

/** Kernel memory is slow to allocate and limited: the last workspace is reused, unless it was garbage collected. */
let idle: WeakRef<Workspace> | undefined;

/** A workspace for one reading; without kernels for a small input. The caller gives it back. */
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
