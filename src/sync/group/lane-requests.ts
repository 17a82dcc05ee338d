import { grouped } from '../../bytes/grouped.js';
import { type Fences, keyId, type KeyName } from '../fences.js';
import type { LaneOptions } from '../lane/lane-options.js';
import type { InterruptibleReader } from '../spool/interruptible-reader.js';
import type { AttachedTarget } from '../target/attached-target.js';
import type { ChangeWriter } from '../target/change-writer.js';

export interface LaneRequestsOptions extends Pick<LaneOptions, 'signal' | 'target'> {
  readonly attached: AttachedTarget;
  readonly fences: Fences;
  readonly reader: Pick<InterruptibleReader, 'interrupt' | 'signal'>;
  /** Brings the values of wanted keys to the target. */
  readonly settle: () => Promise<void>;
}

/** What lanes of other sources wait for: keys are to be as the source of this one has them. */
export class LaneRequests {
  private requests: { readonly names: readonly KeyName[]; readonly done: (isDone: boolean) => void }[] = [];
  /** Ids of keys that the source of such a lane has flushed: they are deleted, unless this one has them, whatever it has since. */
  readonly flushed = new Set<string>();
  private isOver = false;

  constructor(private readonly options: LaneRequestsOptions) {}

  get areWaiting(): boolean {
    return this.requests.length > 0;
  }

  /** The lane goes on. */
  open(): void {
    this.isOver = false;
  }

  /** The lane has come to its end, or is to end. */
  close(): void {
    this.isOver = true;
    for (const { done } of this.requests.splice(0)) done(false);
  }

  /** Brings keys to what the source has, at a place of the stream that is soon; false if it has ended. */
  bring(names: readonly KeyName[]): Promise<boolean> {
    if (this.isOver) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.requests.push({ names, done: resolve });
      this.options.reader.interrupt();
    });
  }

  /** `isFlushed`: keys that do not exist at this place of the stream, whatever it says of them later. */
  async serve(writer: ChangeWriter, isFlushed?: (name: KeyName) => boolean): Promise<void> {
    const { fences, settle } = this.options;
    const requests = this.requests.splice(0);
    // those that are wanted anyway have to wait: the flush forgets the fences of what is fetched before its end
    const later = isFlushed === undefined ? [] : [...fences.wanted.values()].filter(isFlushed);
    for (const { db, key } of later) fences.wanted.delete(keyId(db, key));
    try {
      for (const { names } of requests) {
        if (isFlushed !== undefined) await this.deleteFlushed(writer, names.filter(isFlushed));
        for (const { db, key } of names) {
          if (isFlushed?.({ db, key }) === true) continue;
          fences.want(db, key);
          this.flushed.add(keyId(db, key));
        }
      }
      await settle();
      await writer.drained();
    } catch (error) {
      this.requests.unshift(...requests);
      throw error;
    } finally {
      this.flushed.clear();
      for (const { db, key } of later) fences.want(db, key);
    }
    for (const { done } of requests) done(true);
  }

  private async deleteFlushed(writer: ChangeWriter, names: readonly KeyName[]): Promise<void> {
    const { attached, target } = this.options;
    for (const [db, some] of grouped(names, (name) => target(name.db))) {
      for (const [owner, own] of attached.byOwner(some)) {
        await writer.deleteKeys(
          owner,
          db,
          own.map(({ key }) => attached.nameOf(key)),
        );
      }
    }
  }

  /** Waits for lanes of other sources, which may wait for this one. */
  async during<T>(work: Promise<T>, writer: ChangeWriter, isFlushed: (name: KeyName) => boolean): Promise<T> {
    const { reader } = this.options;
    const over = new AbortController();
    const wake = (): void => {
      over.abort();
      reader.interrupt();
    };
    work.then(wake, wake);
    while (!over.signal.aborted) {
      const { signal } = reader;
      if (this.areWaiting) await this.serve(writer, isFlushed);
      else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      this.options.signal.throwIfAborted();
    }
    return work;
  }
}
