/*
 * The stream of writes of a source, kept coming into a log across lost connections, restarts and failovers:
 *
 *     const link = new ChangeLink({ name, open, log, … });
 *     for (let end = await link.start(id, offset); ; end = await link.run()) …
 *
 * `start` and `run` say when the stream cannot simply go on: a Gap is final, after Rewound `run` goes on.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { OpenedNode } from '../../live/replication-input.js';
import { ConnectionLost, mayPass, reasonOf, ServerError, toldOf } from '../../redis/errors.js';
import type { ReadSlabs } from '../../redis/read-slabs.js';
import { type IntroducedReplica, ReplicationLink } from '../../redis/replication.js';
import { unlessAborted } from '../../redis/unless-aborted.js';
import { Waiting } from '../../redis/waiting.js';
import { ofSource } from '../rights.js';
import { continuation, type Gap, type LoggedHistory, type Rewound } from './history.js';
import { InfoLink, OffsetWatch } from './info-link.js';

/** Where the bytes of the stream go, in order. */
export interface ChangeLog {
  /** Replication offset of the last byte taken. */
  readonly end: number;
  /** The bytes are the log's. Nothing is read from the source until it resolves; the source is acknowledged `end` meanwhile. */
  append(bytes: Uint8Array): void | Promise<void>;
  /** What follows `offset`, the end of the log, belongs to another history. */
  turn(id: string, offset: number): void | Promise<void>;
  /** The log ends at `offset`, and with it the histories that began later. */
  truncate(offset: number): Promise<void>;
}

export interface ChangeLinkOptions {
  /** The name of the source. */
  readonly name: string;
  /** Connects for each attempt: after a failover, to another node. `reads`: as for `openSocket`. */
  readonly open: (reads?: ReadSlabs) => Promise<OpenedNode>;
  /** Where the writes are read to. */
  readonly reads?: ReadSlabs | undefined;
  /** The name of PSYNC on servers that renamed it; by `host:port` where each node has its own. */
  readonly psyncCommand?: string | ReadonlyMap<string, string> | undefined;
  /** Milliseconds without a byte from the server after which the connection counts as lost (default 60,000). */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
  readonly log: ChangeLog;
}

export interface ChangeLinkState {
  readonly connected: boolean;
  /** Of the history that the last bytes belong to. */
  readonly id: string;
  /** Replication offset of the last byte that came; the log may still be taking it. */
  readonly received: number;
  /** What the source said of its own offset, a second ago at most while connected; undefined if it does not tell. */
  readonly sourceOffset: number | undefined;
  /** Unix milliseconds by this machine's clock; 0 if none came yet. */
  readonly lastByteAt: number;
}

/** Milliseconds between two attempts: the first one comes at once. */
const RETRY_EVERY = 200;

export class ChangeLink {
  private link: ReplicationLink | undefined;
  /** Connected and introduced, for the next attempt. */
  private ready: Introduced | undefined;
  /** For the questions of an attempt. */
  private side: InfoLink | undefined;
  private watch: OffsetWatch | undefined;
  /** The histories of the log since `start`, and where each begins. */
  private turns: { readonly id: string; readonly from: number }[] = [];
  /** The node of the last attempt. */
  private node: string;
  private received = 0;
  private sourceOffset: number | undefined;
  private lastByteAt = 0;
  private closed = false;

  constructor(private readonly options: ChangeLinkOptions) {
    this.node = options.name;
  }

  get state(): ChangeLinkState {
    const { lastByteAt, received, sourceOffset } = this;
    return { connected: this.link !== undefined, id: this.turns.at(-1)?.id ?? '', received, sourceOffset, lastByteAt };
  }

  /**
   * Asks for what follows the end of the log, which is `offset` of the history `id`. Undefined: the writes come, and `run` takes them.
   * Retries without limit what may pass. Throws ServerError if the source refuses for good, and the reason of the signal. With `ready`
   * the first attempt takes one round trip.
   */
  async start(id: string, offset: number, ready?: Introduced): Promise<Gap | Rewound | undefined> {
    const { log } = this.options;
    if (log.end !== offset) throw new TypeError(`the log ends at offset ${log.end}, not at ${offset}`);
    this.disconnect();
    this.turns = [{ id, from: offset }];
    this.received = offset;
    this.ready = ready;
    this.closed = false;
    return this.connect();
  }

  /**
   * Appends to the log what comes, and connects again when the connection is lost. After Rewound the log has been cut already, and `run`
   * goes on from there. Throws as `start` does, what the log throws, and ConnectionLost after `close`.
   */
  async run(): Promise<Gap | Rewound> {
    const { onEvent, signal } = this.options;
    for (;;) {
      const end = this.link === undefined ? await this.connect() : undefined;
      if (end !== undefined) return end;
      try {
        await this.take();
      } catch (error) {
        this.disconnect();
        signal?.throwIfAborted();
        if (!(error instanceof ConnectionLost) || this.closed) throw error;
        onEvent?.(`${this.node}: ${reasonOf(error)}, at offset ${this.received} of its writes: connecting again`, true);
      }
    }
  }

  /** Tells the source at once what the log has taken, as REPLCONF GETACK asks for. */
  acknowledge(): void {
    this.link?.acknowledge(this.options.log.end);
  }

  /** Nothing is appended any more: another link may follow the same writes. */
  close(): void {
    this.closed = true;
    this.disconnect();
    this.ready?.replica.close();
    this.ready = undefined;
  }

  private async take(): Promise<void> {
    const { link } = this;
    if (link === undefined) return;
    const { log } = this.options;
    for await (const { bytes, offset } of link.commands()) {
      if (link !== this.link) throw new ConnectionLost('closed'); // what had come before can still be read
      this.received = offset;
      this.lastByteAt = Date.now();
      await log.append(bytes);
    }
  }

  private async connect(): Promise<Gap | Rewound | undefined> {
    const { onEvent, signal } = this.options;
    const waiting = new Waiting(Infinity, onEvent);
    for (;;) {
      try {
        signal?.throwIfAborted();
        const end = await this.attempt();
        this.checkOpen();
        if (end !== undefined) this.disconnect();
        else if (waiting.over()) onEvent?.(`${this.node}: it sends its writes, from offset ${this.received + 1} on`, true);
        return end;
      } catch (error) {
        this.disconnect();
        signal?.throwIfAborted();
        this.checkOpen();
        if (!mayPass(error)) throw error instanceof ServerError ? ofSource(error) : error;
        waiting.tell(toldOf(error, this.node), 0);
      }
      await delay(RETRY_EVERY, undefined, { signal }).catch(() => undefined); // an abort is seen by the next attempt
      this.checkOpen();
    }
  }

  private checkOpen(): void {
    if (this.closed) throw new ConnectionLost('closed');
  }

  /** The histories of the log in order, and where each ends. */
  private get logged(): LoggedHistory[] {
    const { options, turns } = this;
    return turns.map(({ id }, i) => ({ id, end: turns.at(i + 1)?.from ?? options.log.end }));
  }

  /** Undefined: the writes come. Throws ConnectionLost and ServerError. */
  private async attempt(): Promise<Gap | Rewound | undefined> {
    const prepared = this.ready;
    this.ready = undefined;
    const { id: last } = this.turns[this.turns.length - 1];
    if (prepared !== undefined && (await this.continue(prepared, last))) return undefined;
    const next = await this.next();
    if (typeof next === 'object') return next;
    if (await this.continue(await introduced(this.options), next)) return undefined;
    const after = await this.next();
    if (typeof after === 'object') return after;
    return { kind: 'gap', id: after, wanted: this.options.log.end + 1, have: undefined, reason: 'it would only give a full copy' };
  }

  /** Asks INFO: the id of the history to ask for, or why it cannot go on. */
  private async next(): Promise<string | Gap | Rewound> {
    const { log } = this.options;
    const { logged } = this;
    this.side ??= await this.asker();
    this.node = this.side.name;
    const source = await this.side.history();
    this.sourceOffset = source?.offset;
    const next = source === undefined ? { kind: 'continues' as const, id: logged[logged.length - 1].id } : continuation(source, logged);
    if (next.kind === 'wait') throw new ServerError('UNREACHABLE', this.node, next.reason, undefined, undefined, { passing: true });
    if (next.kind === 'continues') return next.id;
    if (next.kind === 'rewound') {
      await log.truncate(next.to);
      this.turns = this.turns.slice(0, this.turns.findLastIndex(({ id }) => id === next.id) + 1);
      this.received = next.to;
    }
    return next;
  }

  /** Whether the server goes on with its writes. */
  private async continue({ name, replica }: Introduced, id: string): Promise<boolean> {
    const { log } = this.options;
    this.node = name;
    const link = await replica.from(id, log.end);
    if (link === undefined) return false;
    this.link = link;
    this.watch = new OffsetWatch(
      this.side,
      (signal) => this.asker(signal),
      (offset) => (this.sourceOffset = offset),
      () => this.disconnect(), // the next attempt ends with the reason
    );
    this.side = undefined;
    if (link.id !== this.turns.at(-1)?.id) {
      await log.turn(link.id, log.end);
      this.turns.push({ id: link.id, from: log.end });
    }
    return true;
  }

  private async asker(signal = this.options.signal): Promise<InfoLink> {
    return new InfoLink(await opened(this.options), signal);
  }

  private disconnect(): void {
    this.watch?.close();
    this.watch = undefined;
    this.link?.close();
    this.link = undefined;
    this.side?.close();
    this.side = undefined;
  }
}

/** A replica that the source knows already. */
export interface Introduced {
  readonly name: string;
  readonly replica: IntroducedReplica;
}

/** Connects ahead of `start`. Throws ServerError, ConnectionLost, and the reason of the signal. */
export async function introduced(options: Omit<ChangeLinkOptions, 'log'>): Promise<Introduced> {
  const { patience, psyncCommand, reads, signal } = options;
  const { name, socket } = await opened(options, reads);
  const psync = typeof psyncCommand === 'object' ? psyncCommand.get(name) : psyncCommand;
  return { name, replica: await ReplicationLink.introduced(socket, { name, psync, patience, signal }) };
}

const opened = ({ open, signal }: Omit<ChangeLinkOptions, 'log'>, reads?: ReadSlabs): Promise<OpenedNode> =>
  unlessAborted(open(reads), signal, (late) => late.socket.destroy());
