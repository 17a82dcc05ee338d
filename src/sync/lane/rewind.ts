import { SyncGap } from '../errors.js';
import { keyId, type KeyName } from '../fences.js';
import type { AttachedTarget } from '../target/attached-target.js';
import { Detached } from '../target/detached.js';
import type { LaneOptions, Place } from './lane-options.js';
import type { StreamKeys } from './stream-keys.js';

export interface RewindOptions extends Pick<LaneOptions, 'name' | 'onEvent' | 'spool'> {
  readonly attached: AttachedTarget;
  readonly stream: StreamKeys;
  /** The lane is to call `serve`. */
  readonly interrupt: () => void;
}

/** Places of the stream that are remembered, one for each piece, for when the source takes writes back. */
const MOST_PLACES = 8192;

/** What is done when the source takes back its last writes: the keys that were written there are fetched again. */
export class Rewind {
  private places: Place[] = [];
  private cut: { readonly to: number; readonly done: () => void; readonly failed: (error: unknown) => void } | undefined;

  constructor(private readonly options: RewindOptions) {}

  /** Whether the source has taken back writes, and `serve` is due. */
  get isAsked(): boolean {
    return this.cut !== undefined;
  }

  /** The stream is read from here on. */
  begin(place: Place): void {
    this.places = [place];
  }

  /** A place that the stream has come to, at the end of a unit. */
  remember(place: Place): void {
    this.places.push(place);
    if (this.places.length > MOST_PLACES) this.places = this.places.slice(MOST_PLACES / 2);
  }

  /** The source has taken back what came after `to`, which the spool still has. Resolves when `serve` is done. */
  ask(to: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.cut = { to, done: resolve, failed: reject };
      this.options.interrupt();
    });
  }

  /** `certain`: where the stream is certain; `end`: nothing beyond it was sent. Ends with Detached: the stream goes on elsewhere. */
  async serve(certain: Place, end: number): Promise<never> {
    const { cut } = this;
    if (cut === undefined) throw new TypeError('nothing was taken back');
    try {
      await this.fetchSince(cut.to, [...this.places, certain], end);
    } catch (error) {
      if (!(error instanceof Detached)) cut.failed(error);
      throw error;
    }
    this.cut = undefined;
    cut.done();
    throw new Detached(this.options.name, 'it has taken back its last writes');
  }

  private async fetchSince(to: number, places: readonly Place[], end: number): Promise<void> {
    const { name, onEvent, spool, stream } = this.options;
    if (end <= to) return;
    const known = places.filter(({ offset }) => offset <= to && offset >= spool.begin);
    if (known.length === 0) throw new SyncGap(name, `the source has taken back its writes from offset ${to + 1} on, some of them long ago`);
    const from = known.reduce((a, b) => (b.offset > a.offset ? b : a));
    const names = new Map<string, KeyName>();
    let selected = from.db;
    for await (const { command, db } of stream.commandsIn(from.offset, Math.min(end, spool.end), from.db)) {
      if (command.offset <= to) selected = db;
      else for (const { db: of, key } of await stream.written(command, db)) names.set(keyId(of, key), { db: of, key });
    }
    onEvent(`${name}: it has taken back its last writes, of ${names.size} keys, which are fetched again`, true);
    await this.recordRewind(to, selected, end, [...names.values()]);
  }

  /** The target learns which keys are to be fetched, and where the stream goes on. */
  private async recordRewind(to: number, db: number, end: number, names: readonly KeyName[]): Promise<void> {
    const { attached } = this.options;
    const { writer } = attached;
    await writer.drained();
    await attached.fence(names.map((name) => ({ ...name, offset: end })));
    if (writer.certain > to) await writer.writeRecord(to, db, to);
  }
}
