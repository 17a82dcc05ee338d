import { setTimeout as delay } from 'node:timers/promises';
import { RdbError } from '../../bytes/errors.js';
import { formatText } from '../../bytes/text.js';
import type { Opened } from '../../redis/connect.js';
import { ConnectionLost, reasonOf, ServerError } from '../../redis/errors.js';
import { RateLimit } from '../../redis/rate-limit.js';
import { unlessAborted } from '../../redis/unless-aborted.js';
import { compileKeyFilter, type KeyPlace } from '../../values/filters.js';
import { DatabaseScan } from './database-scan.js';
import { KeyReplies } from './key-replies.js';
import { LatencyGuard } from './latency-guard.js';
import { ReplyLink } from '../../redis/reply-link.js';
import { ScanPace } from './scan-pace.js';
import { refused, ScanServer } from './scan-server.js';
import type { NodeScanTarget, ScanPosition, ScanSettings } from './scan-terms.js';
import { SideLink } from './side-link.js';

/** Bytes of a key in a note. */
const SHOWN = 100;
/** Milliseconds between attempts to connect: at first, and at most. */
const FIRST_WAIT = 50;
const LONGEST_WAIT = 2000;

interface Progress {
  readonly written: number;
  readonly cursor: string | undefined;
  readonly runId: string;
}

/** Scans all databases of one server, over one connection at a time; a new one goes on where the last one was lost. */
export class NodeScan {
  /** Slots of keys that were answered with MOVED, and with ASK. */
  readonly movedSlots = new Set<number>();
  readonly askedSlots = new Set<number>();
  private readonly wanted: ((key: KeyPlace) => boolean) | undefined;
  private readonly pace: ScanPace;
  /** Of the last connection. */
  private scan: DatabaseScan | undefined;
  /** Where to go on after a lost connection. */
  private runId = '';
  private db = 0;
  private cursor: string | undefined;
  /** Of the last server. */
  private history: { readonly address: string | undefined; readonly id: string } = { address: undefined, id: '' };
  private readonly finished = new Set<number>();
  private readonly told = new Set<string>();
  /** How far it was when the last connection was lost. */
  private progress: Progress = { written: 0, cursor: undefined, runId: '' };

  constructor(
    private readonly target: NodeScanTarget,
    private readonly settings: ScanSettings,
  ) {
    this.wanted = wantedOf(settings, () => this.db);
    const { count, maxBytesPerSecond, maxKeysPerSecond } = settings.scan;
    this.pace = new ScanPace(new RateLimit({ bytesPerSecond: maxBytesPerSecond, keysPerSecond: maxKeysPerSecond }), count);
  }

  /**
   * Writes all keys. Throws RdbError: SOURCE_LOST, SOURCE_REFUSED; or the reason of the signal.
   * `from`: a position that an earlier scan of the same server told.
   */
  async run(from?: ScanPosition): Promise<void> {
    const { retryFor, signal } = this.settings;
    if (from !== undefined) {
      this.runId = from.runId;
      this.db = from.db;
      this.cursor = from.cursor;
    }
    let [downSince, wait] = [0, FIRST_WAIT];
    for (;;) {
      try {
        await this.session(await this.opened(), from);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        const failure = this.failureOf(error);
        if (failure !== undefined) throw failure;
        if (this.hasProgressed()) [downSince, wait] = [0, FIRST_WAIT];
        if (downSince === 0) this.settings.onEvent(`${this.target.name}: ${reasonOf(error)}: trying again`, true);
        downSince ||= Date.now();
        if (Date.now() - downSince >= retryFor) throw this.lost(reasonOf(error), error);
        await delay(Math.min(wait, retryFor), undefined, { signal });
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
    }
  }

  /** Whether keys were written, or pages finished, since it was last asked. */
  private hasProgressed(): boolean {
    const { cursor, progress, runId } = this;
    const { restarts, written } = this.settings.counts;
    this.progress = { written, cursor, runId };
    // after a restart, the cursor may move over the same keys again and again
    return written > progress.written || (restarts === 0 && runId === progress.runId && cursor !== progress.cursor);
  }

  private opened(): Promise<Opened> {
    return unlessAborted(this.target.open(), this.settings.signal, ({ socket }) => socket.destroy());
  }

  /** The error that another attempt does not help against; undefined if one may. */
  private failureOf(error: unknown): Error | undefined {
    if (error instanceof RdbError) return error;
    if (error instanceof SyntaxError) return this.lost(error.message, error);
    if (error instanceof ServerError && error.code === 'REFUSED' && !error.passing) return refused(this.target, error.reason, error);
    if (!(error instanceof ServerError || error instanceof ConnectionLost)) {
      return error instanceof Error ? error : new Error(String(error));
    }
    return this.scan?.large.torn === true ? this.lost(`${reasonOf(error)}, in the middle of a large value`, error) : undefined;
  }

  private lost(got: string, cause?: unknown): RdbError {
    const { name } = this.target;
    const reached = `${this.settings.counts.written} keys were read, up to database ${this.db}`;
    return new RdbError('SOURCE_LOST', { file: name, got: `${got}; ${reached}`, cause });
  }

  /** One connection, from its beginning to the end of the scan. */
  private async session(opened: Opened, from: ScanPosition | undefined): Promise<void> {
    const { pace, settings, target } = this;
    const { counts, onBytes, onEvent, onNote, scan, signal } = settings;
    const link = new ReplyLink(opened.socket, onBytes, signal);
    const server = new ScanServer(link, opened, target, settings);
    const side = new SideLink(server, () => this.opened());
    const { maxLatency: limit } = scan;
    if (limit !== undefined) pace.guard = new LatencyGuard({ target, limit, signal, onNote, onEvent });
    try {
      await server.introduce();
      this.follow(server);
      await server.writeFunctions();
      const databases = (this.scan = this.databaseScan(server, side));
      const swaps = await server.swaps();
      const first = this.finished.size === 0 ? from?.db : undefined;
      for (const db of await server.databases()) {
        if (this.finished.has(db) || (first !== undefined && db < first)) continue;
        if (db !== this.db) this.cursor = undefined;
        this.db = db;
        this.cursor ??= '0';
        await server.select(db);
        await databases.run(this.cursor);
        this.cursor = undefined;
        this.finished.add(db);
      }
      if (swaps !== undefined && ((await server.swaps()) ?? 0) > swaps) counts.swaps++;
      server.beginOutput();
    } finally {
      link.close();
      side.close();
      pace.guard?.stop();
    }
  }

  private databaseScan(server: ScanServer, side: SideLink): DatabaseScan {
    const { askedSlots: asked, movedSlots: moved, pace, wanted } = this;
    return new DatabaseScan({
      ...{ server, side, pace, wanted },
      replies: new KeyReplies(server, { moved, asked }),
      onCursor: (cursor) => this.finishPages(cursor),
      onKeyNote: (what, key) => this.tellOnce(what, `key ${JSON.stringify(formatText(key.subarray(0, SHOWN)))} of database ${this.db}: `),
      onNote: (text) => this.tellOnce(text),
    });
  }

  /** Whether the cursor is good for the process that answers now, and whether that may lack keys that the one before had. */
  private follow({ info, opened: { process } }: ScanServer): void {
    const { counts } = this.settings;
    const { address, runId } = process;
    if (runId !== this.runId || this.runId === '') this.cursor = undefined; // cursors are of one process
    if (runId !== this.runId && this.runId !== '' && !this.goesOn(info, address)) counts.restarts++;
    this.runId = runId;
    this.history = { address, id: info.replicationId };
  }

  /**
   * Whether another node goes on with the same history: a replica that became the master. One that was restarted at its address may have
   * lost keys, whatever it says of its history (redis server.c, loadDataFromDisk).
   */
  private goesOn({ earlierReplicationId, replicationId }: ScanServer['info'], address: string | undefined): boolean {
    const { history } = this;
    const isSame = history.id !== '' && [replicationId, earlierReplicationId].includes(history.id);
    return isSame && address !== undefined && address !== history.address;
  }

  /** All keys that SCAN gave before this cursor are written. */
  private finishPages(cursor: string): void {
    this.cursor = cursor;
    // the last cursor is 0, which would begin again: the database after it begins at its own 0
    const [db, next] = cursor === '0' ? [this.db + 1, '0'] : [this.db, cursor];
    this.settings.onPosition({ runId: this.runId, db, cursor: next });
  }

  /** Of the keys that it holds for, the first one is named in `at`. */
  private tellOnce(what: string, at = ''): void {
    if (this.told.has(what)) return;
    this.told.add(what);
    this.settings.onNote(`${this.target.name}: ${at}${what}`);
  }
}

/** Which keys are asked for; undefined for all. */
function wantedOf({ filter, wants }: ScanSettings, db: () => number): ((key: KeyPlace) => boolean) | undefined {
  const fits = compileKeyFilter(filter);
  if (wants === undefined) return fits;
  return (key) => (fits === undefined || fits(key)) && wants(db(), key.keyBytes, key.keyStart, key.keyEnd);
}
