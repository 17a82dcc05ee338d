/*
 * Fetch with a fence: the value of a key together with the replication offset at which it was exactly that.
 *
 *     MULTI · [SELECT db ·] DUMP key · PEXPIRETIME key · … · INFO replication · EXEC
 *
 * Nothing runs within EXEC but its own commands, and INFO tells the offset before what they may write (a lazy expiry gives nil, and its
 * DEL follows in the stream).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../../bytes/crc16.js';
import type { RdbError } from '../../bytes/errors.js';
import type { OpenedNode } from '../../live/replication-input.js';
import { type Answer, ARRAY, ErrorAnswer, ReplyLink, textOf } from '../../redis/reply-link.js';
import { encodeCommand } from '../../redis/commands.js';
import { ConnectionLost, mayPass, ServerError, toldOf } from '../../redis/errors.js';
import { abortedBy, redirection, refusalOf } from '../../redis/refusals.js';
import { unlessAborted } from '../../redis/unless-aborted.js';
import { Waiting } from '../../redis/waiting.js';
import type { KeyName } from '../fences.js';
import { ofSource } from '../rights.js';
import { historyOf, type SourceHistory } from './history.js';
import { closeLarge, largeOf, type LargeValueAside, PayloadAside, payloadAnswer } from './put-aside.js';

/** A key as it was at an offset. */
export interface Fetched {
  /** As DUMP gives it; undefined if there is no such key, or if it is `large`. */
  readonly payload: Uint8Array | undefined;
  /** Closed once it was taken. */
  readonly large: LargeValueAside | RdbError | undefined;
  /** Unix milliseconds by the clock of the source, -1 for none; before Redis 7.0 it may be a millisecond off. */
  readonly expireAt: number;
  /** Replication offset: writes up to here are in the value, later ones are not. */
  readonly offset: number;
  /** Id of the history that the offset belongs to. */
  readonly id: string;
}

export interface FetcherOptions {
  /** The name of the source. */
  readonly name: string;
  /** Connects to the master, whichever that is at each attempt. */
  readonly open: () => Promise<OpenedNode>;
  /** Keys of one transaction are of one slot, and of database 0. */
  readonly clustered: boolean;
  /** Whether offsets of a history can be compared with those of the stream: it came to it already. */
  readonly known: (id: string) => boolean;
  /** What may pass is thrown, too: as ServerError. */
  readonly once?: boolean | undefined;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

/** What belongs to one fetch. */
export interface FetchTerms {
  /** The offset that a value must have at least. */
  readonly atLeast: number;
  /** The same one for every fetch keeps the connection. */
  readonly signal?: AbortSignal | undefined;
  /** The slot is on its way to this node: it is asked with ASKING. */
  readonly asking?: boolean | undefined;
  /** The keys of a slot may be at two nodes, so that each is asked for alone. */
  readonly apart?: boolean | undefined;
}

/** The keys of a slot are at another node now, or on their way there (`ask`). */
export class KeyElsewhere extends Error {
  override readonly name = 'KeyElsewhere';

  constructor(
    readonly key: KeyName,
    readonly slot: number,
    /** The host may be empty: that of the node that was asked. */
    readonly host: string,
    readonly port: number,
    readonly ask: boolean,
  ) {
    super(`slot ${slot} is ${ask ? 'on its way to' : 'at'} ${host}:${port}`);
  }
}

/** Keys of one transaction, `keys[from, to)`, and the replies before that to EXEC. */
interface Group {
  readonly from: number;
  readonly to: number;
  readonly replies: number;
}

/** Why a group has to be asked for again. */
class Again {
  constructor(
    readonly reason: string,
    /** Nothing has to change first. */
    readonly atOnce = false,
  ) {}
}

/** Milliseconds between two attempts. */
const RETRY_EVERY = 50;
/** Keys asked for ahead: at first, and at most; and the bytes that they should have. */
const FIRST_AHEAD = 8;
const MOST_AHEAD = 512;
const AHEAD_BYTES = 1 << 20;
/** Keys of a transaction. */
const MOST_TOGETHER = 64;
/** How much the latest payload counts in the mean. */
const WEIGHT = 1 / 8;

export class Fetcher {
  private link: ReplyLink | undefined;
  private linked: AbortSignal | undefined;
  private node: string;
  /** The server does not know PEXPIRETIME (Redis 7.0). */
  private isOlder = false;
  private selects = false;
  private ahead = FIRST_AHEAD;
  private mean = 0;
  /** One fetch at a time. */
  private before: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(private readonly options: FetcherOptions) {
    this.node = options.name;
  }

  /**
   * Gives the keys to `take` in their order, and reads no further until it resolves; `take` must not wait for another fetch. Retries
   * without limit what may pass. Throws KeyElsewhere, ServerError if the source refuses for good, and the reason of the signal; keys that
   * `take` had are not asked again.
   */
  each(keys: readonly KeyName[], terms: FetchTerms, take: (fetched: Fetched, index: number) => void | Promise<void>): Promise<void> {
    const fetching = this.before.then(() => this.all(keys, terms, take));
    this.before = fetching.catch(() => undefined);
    return fetching;
  }

  /** Whether a time series has compaction rules, which DUMP leaves out; undefined if the source does not tell. */
  hasRules({ db, key }: KeyName, signal: AbortSignal): Promise<boolean | undefined> {
    const asking = this.before.then(async () => {
      const link = await this.connected(signal);
      if (!this.options.clustered) {
        this.selects = true;
        await link.ask('SELECT', `${db}`);
      }
      const info = await link.ask('TS.INFO', key);
      if (info instanceof ErrorAnswer && /does not exist/.test(info.text)) return false;
      if (!Array.isArray(info)) return undefined;
      const fields: readonly Answer[] = info as readonly Answer[];
      const rules = fields[fields.findIndex((field) => textOf(field) === 'rules') + 1];
      return Array.isArray(rules) ? rules.length > 0 : undefined;
    });
    this.before = asking.catch(() => undefined);
    return asking.catch((error: unknown) => {
      this.disconnect();
      signal.throwIfAborted();
      if (!mayPass(error) && !(error instanceof SyntaxError)) throw error;
      return undefined;
    });
  }

  close(): void {
    this.closed = true;
    this.disconnect();
  }

  private disconnect(): void {
    this.link?.close();
    this.link = undefined;
  }

  private async all(
    keys: readonly KeyName[],
    terms: FetchTerms,
    take: (fetched: Fetched, index: number) => void | Promise<void>,
  ): Promise<void> {
    const { signal } = terms;
    const waiting = new Waiting(Infinity, this.options.onEvent);
    let done = 0;
    const took = async (fetched: Fetched): Promise<void> => {
      await take(fetched, done);
      done++;
      if (waiting.over()) this.options.onEvent?.(`${this.node}: its keys can be fetched again`, true);
    };
    while (done < keys.length) {
      const failure = await this.attempt(keys, done, terms, took);
      if (failure === undefined) return;
      signal?.throwIfAborted();
      if (failure instanceof Again && failure.atOnce) continue;
      if (this.options.once === true) throw failure instanceof Again ? this.passing(failure) : failure;
      waiting.tell(failure instanceof Again ? `${this.node}: ${failure.reason}` : toldOf(failure, this.node));
      await delay(RETRY_EVERY, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  private passing({ reason }: Again): ServerError {
    return new ServerError('UNREACHABLE', this.node, reason, undefined, undefined, { passing: true });
  }

  /** Fetches keys from `first` on; returns why not all of them, if that may pass. */
  private async attempt(
    keys: readonly KeyName[],
    first: number,
    terms: FetchTerms,
    took: (fetched: Fetched) => Promise<void>,
  ): Promise<Again | ConnectionLost | ServerError | undefined> {
    try {
      const link = await this.connected(terms.signal);
      const groups: Group[] = [];
      let sent = first;
      for (let done = first; done < keys.length; ) {
        while (sent < keys.length && (sent === done || sent - done < this.ahead)) {
          const group = this.send(link, keys, sent, done, terms);
          groups.push(group);
          sent = group.to;
        }
        const group = groups.shift() as Group;
        const found = await this.read(link, keys, group, terms);
        if (found instanceof Again) {
          if (this.link !== link) return found;
          for (const other of groups) await this.read(link, keys, other, terms, true);
          return found;
        }
        try {
          for (const fetched of found) await took(fetched);
        } finally {
          for (const { large } of found) closeLarge(large);
        }
        done = group.to;
      }
      return undefined;
    } catch (error) {
      this.disconnect(); // replies may be due
      terms.signal?.throwIfAborted();
      if (error instanceof SyntaxError) throw new ServerError('REFUSED', this.node, error.message, error);
      if (this.closed || !mayPass(error)) throw error;
      return error;
    }
  }

  private async connected(signal: AbortSignal | undefined): Promise<ReplyLink> {
    if (this.closed) throw new ConnectionLost('closed');
    if (this.link !== undefined && this.linked === signal) return this.link;
    this.disconnect();
    const { name, socket } = await unlessAborted(this.options.open(), signal, (late) => late.socket.destroy());
    this.node = name;
    this.linked = signal;
    this.selects = false;
    return (this.link = new ReplyLink(socket, () => undefined, signal));
  }

  /** Asks for some keys from `from` on in one transaction. `done`: how many are answered. */
  private send(link: ReplyLink, keys: readonly KeyName[], from: number, done: number, { apart, asking }: FetchTerms): Group {
    const { clustered } = this.options;
    const commands: Uint8Array[] = asking === true ? [ASKING, MULTI] : [MULTI];
    const slot = clustered ? slotOf(keys[from]) : 0;
    let db = -1;
    let to = from;
    for (; to < keys.length && to - from < MOST_TOGETHER; to++) {
      const key = keys[to];
      // with ASKING, several keys are refused if one of them is not there yet
      if (to > from && (asking === true || apart === true || to - done >= this.ahead || (clustered && slotOf(key) !== slot))) break;
      if (key.db !== db && !clustered && (this.selects || key.db !== 0)) {
        commands.push(encodeCommand(['SELECT', `${key.db}`]));
        this.selects = true;
      }
      db = key.db;
      commands.push(encodeCommand(['DUMP', key.key]), encodeCommand([this.isOlder ? 'PTTL' : 'PEXPIRETIME', key.key]));
    }
    if (this.isOlder) commands.push(TIME);
    commands.push(INFO);
    link.write(Buffer.concat([...commands, EXEC]));
    return { from, to, replies: commands.length };
  }

  /** Reads the replies to a group. With `only`, they do not matter. */
  private async read(
    link: ReplyLink,
    keys: readonly KeyName[],
    group: Group,
    terms: FetchTerms,
    only = false,
  ): Promise<readonly Fetched[] | Again> {
    const { from, replies, to } = group;
    let refused: string | undefined;
    for (let i = 0; i < replies; i++) {
      const answer = await link.answer();
      if (answer instanceof ErrorAnswer) refused ??= answer.text;
    }
    await link.more(1);
    if (link.bytes[link.pos] !== ARRAY) {
      const answer = await link.answer();
      return only ? [] : this.refusal(refused ?? (answer instanceof ErrorAnswer ? answer.text : 'EXEC gives no array'), keys[from]);
    }
    link.pos = await link.whole(() => link.number(link.pos));
    const answers: FetchAnswer[] = [];
    let found: Fetched[] | Again | undefined;
    try {
      for (let count = link.value; count > 0; count--) answers.push(await payloadAnswer(link, !only));
      if (only) return [];
      const wrong = answers.find((answer) => answer instanceof ErrorAnswer);
      if (refused !== undefined || wrong !== undefined) return this.refusal(refused ?? (wrong as ErrorAnswer).text, keys[from]);
      return (found = this.fetched(answers.filter((answer) => !isOk(answer)), to - from, terms));
    } finally {
      if (!Array.isArray(found)) for (const answer of answers) if (answer instanceof PayloadAside) answer.close();
    }
  }

  /** `answers`: two for each key, then that to TIME from older servers, then INFO. */
  private fetched(answers: FetchAnswer[], keys: number, { atLeast }: FetchTerms): Fetched[] | Again {
    const info = answers.at(-1);
    const history = historyOf((info instanceof PayloadAside || info === undefined ? undefined : textOf(info)) ?? '');
    if (history === undefined || answers.length !== 2 * keys + (this.isOlder ? 2 : 1)) {
      throw new ServerError('REFUSED', this.node, 'it does not answer like a server: EXEC gives something else than was asked for');
    }
    const notYet = this.notYet(history, atLeast);
    if (notYet !== undefined) return notYet;
    const now = this.isOlder ? timeOf(answers[answers.length - 2]) : 0;
    const { id, offset } = history;
    return Array.from({ length: keys }, (_, i): Fetched => {
      const [value, expiry] = [answers[2 * i], Number(answers[2 * i + 1])];
      const payload = value instanceof Uint8Array && expiry !== GONE ? value : undefined;
      const large = value instanceof PayloadAside && expiry !== GONE ? largeOf(value) : undefined;
      if (value instanceof PayloadAside && large === undefined) value.close();
      this.learn(payload?.length ?? (value instanceof PayloadAside ? value.size : 0));
      return { payload, large, expireAt: expiry < 0 ? -1 : now + expiry, offset, id };
    });
  }

  /** Why what a server says now is of no use. */
  private notYet({ id, offset, role }: SourceHistory, atLeast: number): Again | undefined {
    if (role !== 'master') {
      this.disconnect();
      return new Again('it is a replica: its master is looked for');
    }
    if (!this.options.known(id)) return new Again(`it has another history, ${id}, that its stream of writes has not come to yet`);
    if (offset < atLeast) return new Again(`it is at offset ${offset}, and has to reach ${atLeast}`);
    return undefined;
  }

  private learn(size: number): void {
    this.mean += (size - this.mean) * (size > this.mean ? 1 / 2 : WEIGHT);
    this.ahead = Math.max(1, Math.min(this.ahead * 2, MOST_AHEAD, Math.floor(AHEAD_BYTES / Math.max(1, this.mean))));
  }

  /** Throws what does not pass by itself. */
  private refusal(text: string, key: KeyName): Again {
    if (!this.isOlder && /unknown command.{0,3}pexpiretime/i.test(text)) {
      this.isOlder = true;
      return new Again(text, true);
    }
    const refusal = refusalOf(text);
    const to = redirection(text);
    if (to !== undefined) throw new KeyElsewhere(key, to.slot, to.host, to.port, refusal === 'ask');
    if (refusal === 'later') return new Again(text);
    throw ofSource(new ServerError('REFUSED', this.node, abortedBy(text)));
  }
}

type FetchAnswer = Answer | PayloadAside;

/** Of PEXPIRETIME and PTTL: there is no such key. */
const GONE = -2;

const [ASKING, MULTI, EXEC, TIME] = ['ASKING', 'MULTI', 'EXEC', 'TIME'].map((name) => encodeCommand([name]));
const INFO = encodeCommand(['INFO', 'replication']);

const slotOf = ({ key }: KeyName): number => keySlot(key, 0, key.length);

/** The answer to SELECT. A payload has more bytes. */
const isOk = (answer: FetchAnswer): boolean => answer instanceof Uint8Array && answer.length === 2;

/** Milliseconds, of the answer to TIME. */
function timeOf(answer: FetchAnswer): number {
  const [seconds, microseconds] = Array.isArray(answer) ? (answer as readonly Answer[]).map((part) => Number(textOf(part))) : [];
  return seconds * 1000 + Math.floor(microseconds / 1000);
}
