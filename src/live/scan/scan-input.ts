import type { FilterOptions } from '../../values/filters.js';
import { KeySet } from '../../values/key-set.js';
import type { Input } from '../../io/input.js';
import { ChunkPipe } from '../chunk-pipe.js';
import { NodeScan } from './node-scan.js';
import type { ScanOptions } from '../options.js';
import { ScanOutput } from './scan-output.js';
import { type NodeScanTarget, noScanCounts, type ScanCounts, type ScanPosition, type ScanSettings } from './scan-terms.js';

export interface ScanInputOptions {
  /** The source as messages name it. */
  readonly name: string;
  /** The keys that are known to be written; shared by all scans whose keys may meet (default: one of this input). */
  readonly keys?: KeySet | undefined;
  /** Keys that pass; what comes out may have others. */
  readonly filter?: FilterOptions | undefined;
  readonly scan?: ScanOptions | undefined;
  /** Keys that matter (default: all that pass). */
  readonly wants?: ScanSettings['wants'];
  /** Write function libraries before the first key (default: true). */
  readonly functions?: boolean | undefined;
  /** Milliseconds to retry a server that is lost (default 60,000). */
  readonly retryFor?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Makes the two buffers that chunks are in (default: memory of their own). */
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
  /** Where the first node is begun: see `positionAt`. */
  readonly from?: ScanPosition | undefined;
  /** Asked after each node for another one, like the new owner of slots that have moved. */
  readonly next?: ((done: NodeScan) => Promise<NodeScanTarget | undefined>) | undefined;
  /** Called when no more is read: everything was, or it failed, or was given up. */
  readonly onClose?: (() => void) | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
  /** A key that cannot be read, and why; the key is valid during the call. */
  readonly onProblem?: ((db: number, key: Uint8Array, reason: string) => void) | undefined;
}

/** Milliseconds. */
const RETRY_FOR = 60_000;
/** Keys that are remembered: up to 0.8 GB. */
export const MOST_REMEMBERED = 20_000_000;
/** Positions that are remembered. Beyond that, every other one is forgotten. */
const MOST_MARKS = 1024;

interface Mark {
  /** Bytes of output. */
  readonly offset: number;
  readonly position: ScanPosition;
}

/** The keys of servers, read with SCAN and DUMP, as an RDB. */
export class ScanInput implements Input {
  readonly size = undefined;
  readonly compression = 'none';
  readonly plainSize = undefined;
  readonly ofPayloads = false;
  readonly name: string;
  /** Bytes of replies. */
  bytesRead = 0;
  readonly counts: ScanCounts = noScanCounts();
  private readonly pipe: ChunkPipe;
  private readonly keys: KeySet;
  private readonly aborter = new AbortController();
  private marks: Mark[] = [];

  constructor(
    private readonly first: NodeScanTarget,
    private readonly options: ScanInputOptions,
  ) {
    this.name = options.name;
    this.pipe = new ChunkPipe(options.allocate);
    this.keys = options.keys ?? new KeySet(options.scan?.repeats === true ? 0 : MOST_REMEMBERED);
  }

  /**
   * The last position before which all keys are in the first `offset` bytes of the chunks: a scan from there gives all others,
   * and perhaps some again. Offsets must ascend from call to call. Undefined if there is none.
   */
  positionAt(offset: number): ScanPosition | undefined {
    const after = this.marks.findIndex((mark) => mark.offset > offset);
    const last = (after < 0 ? this.marks.length : after) - 1;
    if (last < 0) return undefined;
    this.marks.splice(0, last);
    return this.marks[0].position;
  }

  private mark(position: ScanPosition): void {
    if (this.marks.length === MOST_MARKS) this.marks = this.marks.filter((_, i) => i % 2 === 1);
    this.marks.push({ offset: this.pipe.offset, position });
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    const { signal } = this.options;
    const abort = (): void => this.aborter.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    const scanning = this.all().then(
      () => this.pipe.end(),
      (error: unknown) => this.pipe.end(error instanceof Error ? error : new Error(String(error))),
    );
    try {
      yield* this.pipe.chunks();
    } finally {
      signal?.removeEventListener('abort', abort);
      this.aborter.abort(new Error('closed'));
      this.pipe.close();
      await scanning;
      this.options.onClose?.();
    }
  }

  private async all(): Promise<void> {
    const { filter = {}, from, functions = true, next, onEvent, onNote, onProblem, retryFor = RETRY_FOR, scan = {}, wants } = this.options;
    const output = new ScanOutput(this.pipe);
    let isFull = false;
    let target: NodeScanTarget | undefined = this.first;
    for (let start = from; target !== undefined; start = undefined) {
      const node: NodeScan = new NodeScan(target, {
        output,
        filter,
        scan,
        functions,
        retryFor,
        counts: this.counts,
        keys: this.keys,
        wants,
        signal: this.aborter.signal,
        onBytes: (count) => void (this.bytesRead += count),
        onNote: (text) => onNote?.(text),
        onEvent: (text, notable) => onEvent?.(text, notable),
        onProblem: (db, key, reason) => onProblem?.(db, key, reason),
        onPosition: (position) => {
          this.mark(position);
          if (this.keys.full && !isFull && scan.repeats !== true) {
            onNote?.('more keys than can be remembered: further ones may come twice');
          }
          isFull = this.keys.full;
        },
      });
      await node.run(start);
      target = await next?.(node);
    }
    await output.end();
  }
}
