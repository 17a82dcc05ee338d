import { SyncGap, SyncReplaced } from '../errors.js';
import type { LaneOptions } from '../lane/lane-options.js';
import type { ChangeWriter } from './change-writer.js';
import { Detached } from './detached.js';
import { type LaneState, readRuns, type RecordPlace, writeRun } from './lane-records.js';

export const DELETED = 'the position of this sync was deleted on the target while it ran, and maybe more';
/** Milliseconds between looks at whose the records are. */
const LOOK_EVERY = 1000;

/** That the records of a lane on the target are of this run, and of no other. */
export class Claim {
  private watch: NodeJS.Timeout | undefined;

  constructor(private readonly options: Pick<LaneOptions, 'keys' | 'name' | 'number' | 'record' | 'servers' | 'spool' | 'token'>) {}

  /** Generation and name of the run. */
  get run(): string {
    return `${this.options.record.generation} ${this.options.token}`;
  }

  /** Throws SyncError if the lane cannot go on from what the target says. */
  checked(state: LaneState | undefined): LaneState {
    const { name, record, spool } = this.options;
    if (state === undefined || state.without.length > 0) {
      const where = state === undefined ? 'the target' : state.without.join(', ');
      throw new SyncGap(name, `${where} has no position of this sync any more: what it had was lost or replaced`);
    }
    if (state.record.generation > record.generation) throw new SyncReplaced(name);
    if (state.unclaimed) throw new SyncGap(name, DELETED);
    if (state.record.certain < spool.begin) {
      throw new SyncGap(name, `the target is at offset ${state.record.certain}, and the spool begins at ${spool.begin}`);
    }
    return state;
  }

  /** Says on the target that this run writes the lane. Throws SyncReplaced if another one that is not older does. */
  async make(places: readonly RecordPlace[]): Promise<void> {
    const { keys, name, number, servers } = this.options;
    const runs = await readRuns(servers, keys, number, places, this.run);
    if (runs.includes('other')) throw new SyncReplaced(name);
    const rest = places.filter((_, i) => runs[i] !== 'own');
    await writeRun(servers, keys, number, rest, this.run);
  }

  /**
   * Another run may have begun since `make`. One that begins from now on ends the connections of this one, which there are now. Throws
   * SyncReplaced and Detached.
   */
  async stillOwn(places: readonly RecordPlace[]): Promise<void> {
    const { keys, name, number, servers } = this.options;
    const runs = await readRuns(servers, keys, number, places, this.run);
    if (runs.includes('other')) throw new SyncReplaced(name);
    if (runs.some((run) => run !== 'own')) throw new Detached(name, 'an older run of this sync was still writing');
  }

  /** Ends the writer once the records are of another run, or gone, until `release`. */
  keepLooking(writer: ChangeWriter): void {
    this.watch = setInterval(() => void this.look(writer), LOOK_EVERY);
  }

  release(): void {
    clearInterval(this.watch);
  }

  /** Where CLIENT KILL is not allowed, only this ends a run that was replaced; and nothing else sees that the target was emptied. */
  private async look(writer: ChangeWriter): Promise<void> {
    const { keys, number, servers } = this.options;
    const runs = await readRuns(servers, keys, number, writer.recordPlaces, this.run).catch(() => []); // the connections tell it, too
    if (runs.some((run) => run !== 'own')) writer.end('its position is gone, or of another run');
  }
}
