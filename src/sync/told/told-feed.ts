import { setTimeout as delay } from 'node:timers/promises';
import type { LiveSource } from '../../live/live-source.js';
import { ConnectionLost, mayPass, reasonOf, ServerError } from '../../redis/errors.js';
import type { ServerInfo } from '../../redis/server-info.js';
import type { Master } from '../../redis/servers.js';
import { refusalOf } from '../../redis/refusals.js';
import { unlessAborted } from '../../redis/unless-aborted.js';
import { Waiting } from '../../redis/waiting.js';
import { PendingKeys } from './pending-keys.js';
import { assertNotifies, type Events, ToldLink } from './told-link.js';

export interface ToldFeedOptions {
  readonly source: LiveSource;
  readonly events: Events;
  readonly prefixes: readonly Uint8Array[];
  /** Whether a name is wanted. */
  readonly wants: (bytes: Uint8Array, start: number, end: number) => boolean;
  readonly signal: AbortSignal;
  readonly onEvent: ((text: string, notable?: boolean) => void) | undefined;
  readonly onNote: ((text: string) => void) | undefined;
}

/** Milliseconds between two attempts to reach a master. */
const RETRY_EVERY = 200;
/** Commands that are not told, in the words of INFO commandstats. */
const UNTOLD: Readonly<Record<Events, readonly string[]>> = {
  tracking: ['swapdb'],
  notifications: ['swapdb', 'flushall', 'flushdb'],
};

/** What is known of a master: after it has changed, something may not have been told. */
interface Known {
  readonly process: string;
  readonly untold: string;
}

/** What all masters of the source tell: the keys that were written since they were taken last. */
export class ToldFeed {
  /** Why keys may have been written that were not told: all are to be looked at again. */
  doubt: string | undefined;
  private keys = new PendingKeys();
  /** Why `heard` was false last, where nothing is in doubt. */
  lack: string | undefined;
  /** By the name of a master. */
  private readonly links = new Map<string, ToldLink>();
  private readonly known = new Map<string, Known>();
  private begun = false;
  private noStats = false;

  constructor(private readonly options: ToldFeedOptions) {}

  /** Keys that were told. */
  get pending(): PendingKeys {
    return this.keys;
  }

  get statuses(): { readonly name: string; readonly connected: boolean }[] {
    return [...this.links.values()].map(({ isOpen, name }) => ({ name, connected: isOpen }));
  }

  /** They are the caller's; what is told from now on is pending. */
  take(): PendingKeys {
    const { keys } = this;
    this.keys = new PendingKeys();
    return keys;
  }

  /** Every master tells what is written once it resolves. Throws ServerError if one cannot, and the reason of the signal. */
  async connect(): Promise<void> {
    const { onEvent } = this.options;
    await this.untilDone(async () => {
      const masters = await this.masters();
      for (const name of [...this.links.keys()]) if (!masters.some((master) => master.name === name)) this.end(name);
      for (const master of masters) {
        if (this.links.get(master.name)?.isOpen === true) continue;
        const before = this.known.has(master.name);
        await this.link(master);
        if (!this.begun) continue;
        this.doubted(`${master.name} tells what is written ${before ? 'again' : 'only now'}`);
        onEvent?.(`${master.name}: it tells what is written`, true);
      }
    });
    this.begun = true;
  }

  private async link(master: Master): Promise<void> {
    const { events, onEvent, prefixes, signal, source, wants } = this.options;
    const { name } = master;
    const opened = await unlessAborted(source.servers.openSocket(master), signal, (late) => late.socket.destroy());
    const link = new ToldLink({
      ...{ name, events, prefixes },
      onKey: (db, bytes, start, end) => {
        if (wants(bytes, start, end)) this.keys.add(db, bytes, start, end);
      },
      onFlush: () => this.doubted(`${name}: keys were flushed`),
      onLost: (lost, reason) => {
        if (this.links.get(name) !== lost || signal.aborted) return;
        this.doubted(`${name}: the connection on which it tells what is written was lost (${reason})`);
        onEvent?.(`${name}: the connection on which it tells what is written was lost: ${reason}`, true);
      },
    });
    this.links.set(name, link);
    if (events === 'notifications') await assertNotifies(name, await source.servers.client(master), undefined);
    await link.start(opened);
    this.known.set(name, await this.ask(master, link));
  }

  /** The first reason counts. */
  doubted(reason: string): void {
    this.doubt ??= reason;
  }

  private end(name: string): void {
    this.links.get(name)?.close();
    this.links.delete(name);
  }

  /** All masters, those too that have no slots yet. */
  private async masters(): Promise<readonly Master[]> {
    const { source } = this.options;
    const view = await source.view();
    return view === undefined ? [await source.shards[0].master()] : view.claimants.map(({ master }) => master);
  }

  /**
   * All that was written before this is called is told, or in doubt. False if a master was not there: then it is to be called again.
   * `processes`: the run ids of those that gave values, by name. Throws ServerError and the reason of the signal.
   */
  async heard(processes: ReadonlyMap<string, string>): Promise<boolean> {
    const { signal } = this.options;
    this.lack = undefined;
    try {
      await Promise.all([...this.links.values()].map((link) => link.heard()));
      for (const master of await this.masters()) {
        const link = this.links.get(master.name);
        if (link?.isOpen !== true) {
          this.lack = `${master.name} does not tell yet what is written`;
          return false;
        }
        const now = await this.ask(master, link);
        const before = this.known.get(master.name);
        this.known.set(master.name, now);
        const other = processes.get(master.name);
        if (now.process !== before?.process || (other !== undefined && other !== link.runId)) {
          this.doubted(`${master.name}: another server has taken its place`);
          this.end(master.name);
          return false;
        }
        if (now.untold !== before.untold) {
          this.doubted(`${master.name}: it ran ${UNTOLD[this.options.events].join(' or ').toUpperCase()}, of which it tells nothing`);
        }
      }
      return this.doubt === undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (!mayPass(error)) throw error;
      this.lack = reasonOf(error);
      return false;
    }
  }

  /** Databases of the source that have keys. */
  async databases(): Promise<number[]> {
    const all = new Set<number>();
    await this.untilDone(async () => {
      for (const master of await this.masters()) for (const db of (await this.info(master)).keys.keys()) all.add(db);
    });
    return [...all];
  }

  private async ask(master: Master, link: ToldLink): Promise<Known> {
    const { earlierReplicationId, role, runId } = await this.info(master);
    if (runId !== link.runId) {
      (await this.options.source.servers.client(master)).disconnect();
      throw new ConnectionLost(`${master.name}: another server has taken its place`);
    }
    return { process: `${runId} ${role} ${earlierReplicationId}`, untold: await this.untold(master) };
  }

  private async info(master: Master): Promise<ServerInfo> {
    const { servers } = this.options.source;
    return asked(master, async () => servers.infoOf(await servers.client(master)));
  }

  /** How often the commands ran that are not told. */
  private async untold(master: Master): Promise<string> {
    const { events, onNote, source } = this.options;
    if (this.noStats) return '';
    const text = await asked(master, async () => (await source.servers.client(master)).info('commandstats')).catch((error: unknown) => {
      if (mayPass(error)) throw error;
      return '';
    });
    if (!text.includes('cmdstat_')) {
      this.noStats = true;
      const words = UNTOLD[events].join(' and ').toUpperCase();
      onNote?.(`${master.name} does not tell how often commands ran (INFO commandstats), so that ${words} go unnoticed`);
      return '';
    }
    return UNTOLD[events].map((name) => new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(text)?.[1] ?? '0').join(' ');
  }

  /** Visits all keys of the source, some twice; those of one type if it is given. Begins again after a lost connection. */
  async eachKey(type: string | undefined, visit: (db: number, keys: readonly Buffer[]) => Promise<void>): Promise<void> {
    const { source } = this.options;
    await this.untilDone(async () => {
      for (const master of await this.masters()) {
        const client = await source.servers.client(master);
        for (const db of (await this.info(master)).keys.keys()) {
          let cursor = '0';
          do {
            const [next, keys] = await asked(master, async () => {
              if (db !== 0) await client.select(db);
              const some = type === undefined ? [] : ['TYPE', type];
              const page = (await client.callBuffer('SCAN', cursor, 'COUNT', '1000', ...some)) as [Buffer, Buffer[]];
              if (db !== 0) await client.select(0);
              return page;
            });
            cursor = next.toString();
            if (keys.length > 0) await visit(db, keys);
          } while (cursor !== '0');
        }
      }
    });
  }

  /** Retries without limit what may pass. */
  private async untilDone(work: () => Promise<void>): Promise<void> {
    const { onEvent, signal } = this.options;
    const waiting = new Waiting(Infinity, onEvent);
    for (;;) {
      signal.throwIfAborted();
      try {
        await work();
        waiting.over();
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!mayPass(error)) throw error;
        waiting.tell(reasonOf(error));
      }
      await delay(RETRY_EVERY, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  close(): void {
    for (const name of [...this.links.keys()]) this.end(name);
  }
}

/** Errors of a client as those that name the server. */
async function asked<T>({ name }: Master, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof ServerError) throw error;
    if (!(error instanceof Error) || error.name !== 'ReplyError') throw new ConnectionLost(`${name}: ${reasonOf(error)}`, { cause: error });
    const passing = !['stop', 'refused'].includes(refusalOf(error.message));
    throw new ServerError('REFUSED', name, error.message, error, undefined, { passing });
  }
}
