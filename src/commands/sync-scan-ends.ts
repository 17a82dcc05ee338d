import { mayPass, reasonOf } from '../redis/errors.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import type { Session } from '../sync/session.js';
import type { Rounds } from '../sync/told/rounds.js';
import type { ToldFeed } from '../sync/told/told-feed.js';
import type { LastWrites, Stand } from './sync-cutover.js';

export interface RoundEndsOptions {
  readonly session: Session;
  readonly feed: ToldFeed;
  readonly rounds: Rounds;
  /** Why the target may not be what the source is, whatever the rounds have brought. */
  readonly doubts: () => readonly string[];
  /** Keys that could not be brought over. */
  readonly problems: () => number;
}

/** Rounds before a pause: the first one may have to read more than later ones do. */
const REHEARSALS = 2;

/** The last writes of a source that is read by scan. */
export class RoundEnds implements LastWrites {
  readonly stands: readonly Stand[] = [];
  private working: Promise<unknown> | undefined;
  /** Milliseconds of the last round before a pause. */
  private took = Infinity;

  constructor(private readonly options: RoundEndsOptions) {}

  /**
   * What would make a pause of so many milliseconds pointless; undefined if that is not known yet. The first time, it does a round like
   * those of the pause, and another one if that took too long.
   */
  async obstacles(milliseconds: number): Promise<readonly string[] | undefined> {
    const { doubts, feed, problems, rounds } = this.options;
    for (let i = 0; i < REHEARSALS && this.took > milliseconds; i++) {
      const begun = performance.now();
      try {
        await rounds.round(true);
      } catch (error) {
        if (!mayPass(error)) throw error;
        feed.lack = reasonOf(error);
      }
      this.took = performance.now() - begun;
      if (feed.doubt !== undefined || feed.lack !== undefined) break;
    }
    if (feed.doubt !== undefined || feed.lack !== undefined) return undefined;
    const { took } = this;
    const [lost, seconds] = [problems(), (of: number): string => `${(of / 1000).toFixed(1)} s`];
    return [
      ...doubts(),
      ...(lost === 0 ? [] : [`${lost === 1 ? 'a key' : `${lost} keys`} could not be brought over`]),
      ...(took <= milliseconds ? [] : [`a round takes ${seconds(took)}, which is longer than the pause of ${seconds(milliseconds)}`]),
    ];
  }

  /** Rounds until all that was written before the pause is on the target. */
  drain(signal: AbortSignal): Promise<void> {
    return this.intime(this.drained(signal), signal);
  }

  private async drained(signal: AbortSignal): Promise<void> {
    const { doubts, feed, rounds, session } = this.options;
    for (let well = false; !well; ) {
      signal.throwIfAborted();
      await feed.connect();
      if (feed.doubt !== undefined) throw new Error(feed.doubt); // all keys have to be read again
      well = await rounds.round(true);
      session.assertWell();
    }
    const doubt = doubts().at(0);
    if (doubt !== undefined) throw new Error(doubt);
  }

  /** Another round finds nothing, even of what is not told. */
  async assertStill(signal: AbortSignal): Promise<void> {
    if (await this.intime(this.options.rounds.round(true), signal)) return;
    throw new Error(this.options.doubts().at(0) ?? 'the source was written to while it was paused');
  }

  private intime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    return unlessAborted((this.working = work), signal, () => undefined);
  }

  /** A round may still be under way. */
  async over(): Promise<void> {
    await this.working?.catch(() => undefined);
  }
}
