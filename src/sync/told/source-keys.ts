import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../../bytes/crc16.js';
import type { RdbError } from '../../bytes/errors.js';
import { grouped } from '../../bytes/grouped.js';
import { type Answer, ErrorAnswer, ReplyLink, textOf } from '../../redis/reply-link.js';
import { encodeCommand } from '../../redis/commands.js';
import { ConnectionLost, mayPass, reasonOf, ServerError } from '../../redis/errors.js';
import { redirection, refusalOf } from '../../redis/refusals.js';
import type { Servers } from '../../redis/servers.js';
import { type Address, addressText } from '../../redis/url.js';
import { unlessAborted } from '../../redis/unless-aborted.js';
import { Waiting } from '../../redis/waiting.js';
import type { KeyName } from '../fences.js';
import { closeLarge, largeOf, type LargeValueAside, PayloadAside, payloadAnswer } from '../source/put-aside.js';
import { readState, stateCommand } from './stream-state.js';

/** The value of a key. */
export interface FoundKey {
  /** As DUMP gives it; undefined if there is no such key, or if it is `large`. */
  readonly payload: Uint8Array | undefined;
  /** Closed once it was taken. */
  readonly large: LargeValueAside | RdbError | undefined;
  /** Bytes of the payload. */
  readonly size: number;
  /** Unix milliseconds by the clock of the source, -1 for none; before Redis 7.0 it may be a millisecond off. */
  readonly expireAt: number;
}

export interface SourceKeysOptions {
  readonly servers: Servers;
  readonly signal: AbortSignal;
  readonly onEvent: ((text: string, notable?: boolean) => void) | undefined;
}

/** Where a key is asked for. */
interface Place {
  readonly name: string;
  readonly address: Address | undefined;
  readonly asking: boolean;
}

interface Wanted {
  readonly name: KeyName;
  readonly index: number;
  /** Where a node sent us; undefined: at the owner of its slot. */
  place: Place | undefined;
}

/** To be called before each reply: reads the one to ASKING. Undefined where there is none. */
type Before = (() => Promise<unknown>) | undefined;

/** What is asked for each key, and how the replies are read. */
interface Question<T> {
  readonly commands: (key: Uint8Array) => readonly Uint8Array[];
  readonly read: (link: ReplyLink, before: Before) => Promise<T | ErrorAnswer>;
  /** Bytes of an answer. */
  readonly sizeOf: (answer: T) => number;
  readonly none: T;
}

/** Takes an answer, or an error that the server gives for this key. */
type Take<T> = (answer: T | ErrorAnswer, index: number) => Promise<void> | undefined;

interface NodeLink {
  readonly name: string;
  readonly link: ReplyLink;
  readonly runId: string;
  db: number;
}

/** Milliseconds between two attempts. */
const RETRY_EVERY = 50;
/** Keys asked for ahead of the answers: at first, and at most; and the bytes that these should have. */
const FIRST_AHEAD = 16;
const MOST_AHEAD = 1000;
const AHEAD_BYTES = 1 << 20;
/** Bytes of the state of a stream with a few consumers. */
const STATE_SIZE = 1 << 12;
/** How much the latest answer counts in the mean. */
const WEIGHT = 1 / 8;
/** Of PEXPIRETIME and PTTL: there is no such key. */
const GONE = -2;

const [ASKING, TIME] = ['ASKING', 'TIME'].map((name) => encodeCommand([name]));
const NEEDS = 'Fetching keys needs the rights to DUMP, PEXPIRETIME (before Redis 7.0: PTTL and TIME), EXISTS and SELECT.';

/** Asks for keys at whichever master has them, also while slots move. A key may be asked for again at any time. */
export class SourceKeys {
  /** Unix milliseconds when it is to give up what could not be had until then: ConnectionLost is thrown. */
  giveUpAt = Infinity;
  /** Why a key is to be asked for again. */
  private reason = '';
  /** One for each place: those that are asked at a time must not share one. */
  private readonly links = new Map<string, NodeLink>();
  private readonly means = new Map<unknown, number>();
  /** The server does not know PEXPIRETIME (Redis 7.0). */
  private isOlder = false;

  constructor(private readonly options: SourceKeysOptions) {}

  /** The run ids of the processes that answered, by the name of their node. */
  get processes(): ReadonlyMap<string, string> {
    return new Map([...this.links.values()].map(({ name, runId }) => [name, runId]));
  }

  /** Values, in any order; waits for what `take` returns. Throws ServerError if it is refused for good, and the reason of the signal. */
  fetch(keys: readonly KeyName[], take: Take<FoundKey>): Promise<void> {
    return this.each(keys, this.values, (found, index) => {
      if (found instanceof ErrorAnswer || found.large === undefined) return take(found, index);
      return this.takeLarge(found, index, take);
    });
  }

  private async takeLarge(found: FoundKey, index: number, take: Take<FoundKey>): Promise<void> {
    try {
      await take(found, index);
    } finally {
      closeLarge(found.large);
    }
  }

  /** Those that do not exist. Throws as `fetch`. */
  async missing(keys: readonly KeyName[]): Promise<KeyName[]> {
    const missing: KeyName[] = [];
    await this.each(keys, EXISTENCE, (exists, index) => {
      if (exists === false) missing.push(keys[index]);
      return undefined;
    });
    return missing;
  }

  /**
   * What tells whether streams have changed: digests, or the error of a server that does not say. Throws as `fetch`. `take` is called with
   * the answer once it has come.
   */
  states(keys: readonly KeyName[], take: (state: string | ErrorAnswer, index: number) => void): Promise<void> {
    return this.each(keys, STATES, (answer, index) => {
      take(answer instanceof ErrorAnswer ? answer : answer.state, index);
      return undefined;
    });
  }

  private readonly values: Question<FoundKey> = {
    commands: (key) =>
      this.isOlder
        ? [encodeCommand(['DUMP', key]), TIME, encodeCommand(['PTTL', key])]
        : [encodeCommand(['DUMP', key]), encodeCommand(['PEXPIRETIME', key])], // in this order, so that no expiry is older than its value
    read: (link, before) => this.readValue(link, before),
    sizeOf: ({ size }) => size,
    none: { payload: undefined, large: undefined, size: 0, expireAt: -1 },
  };

  private async readValue(link: ReplyLink, before: Before): Promise<FoundKey | ErrorAnswer> {
    if (before !== undefined) await before();
    const value = await payloadAnswer(link, true);
    let found: FoundKey | ErrorAnswer | undefined;
    try {
      return (found = await this.found(value, link, before));
    } finally {
      const isUsed = found !== undefined && !(found instanceof ErrorAnswer) && found.large !== undefined;
      if (value instanceof PayloadAside && !isUsed) value.close();
    }
  }

  private async found(value: Answer | PayloadAside, link: ReplyLink, before: Before): Promise<FoundKey | ErrorAnswer> {
    const older = this.isOlder;
    if (older && before !== undefined) await before();
    const time = older ? await link.answer() : 0;
    if (before !== undefined) await before();
    const expiry = await link.answer();
    const error = [value, time, expiry].find((answer) => answer instanceof ErrorAnswer);
    if (error instanceof ErrorAnswer) return error;
    const ttl = Number(expiry);
    if (ttl === GONE) return this.values.none;
    const now = older && !(time instanceof ErrorAnswer) ? timeOf(time) : 0;
    const payload = value instanceof Uint8Array ? value : undefined;
    const aside = value instanceof PayloadAside ? value : undefined;
    return {
      payload,
      large: aside && largeOf(aside),
      size: payload?.length ?? aside?.size ?? 0,
      expireAt: ttl < 0 ? -1 : now + ttl,
    };
  }

  private async each<T>(keys: readonly KeyName[], question: Question<T>, take: Take<T>): Promise<void> {
    const { onEvent, servers, signal } = this.options;
    const waiting = new Waiting(Infinity, onEvent);
    let left: Wanted[] = keys.map((name, index) => ({ name, index, place: undefined }));
    for (let attempt = 0; left.length > 0; attempt++) {
      signal.throwIfAborted();
      if (attempt > 0) {
        if (Date.now() > this.giveUpAt) throw new ConnectionLost(`keys cannot be fetched: ${this.reason}`);
        if (this.reason !== '') waiting.tell(this.reason);
        if (attempt > 2) await delay(RETRY_EVERY, undefined, { signal }).catch(() => signal.throwIfAborted());
        await servers.refresh().catch((error: unknown) => this.passing(error, waiting));
      }
      const again = await Promise.all(
        [...grouped(left, (wanted) => placeId(this.placeOf(wanted)))].map(([, some]) =>
          this.at(this.placeOf(some[0]), some, question, take, waiting),
        ),
      );
      left = again.flat();
      if (left.length === 0) waiting.over();
    }
  }

  private placeOf({ name, place }: Wanted): Place {
    if (place !== undefined) return place;
    const { servers } = this.options;
    const master = servers.clustered ? servers.masterOf(keySlot(name.key, 0, name.key.length)) : servers.masters[0];
    return { ...master, asking: false };
  }

  private passing(error: unknown, waiting: Waiting): void {
    this.options.signal.throwIfAborted();
    if (!mayPass(error)) throw error;
    this.reason = reasonOf(error);
    waiting.tell(this.reason);
  }

  /** Asks one node. Returns the keys that are to be asked for again. */
  private async at<T>(place: Place, keys: Wanted[], question: Question<T>, take: Take<T>, waiting: Waiting): Promise<Wanted[]> {
    const sorted = keys.sort((a, b) => a.name.db - b.name.db);
    const again: Wanted[] = [];
    let done = 0;
    try {
      const node = await this.linked(place);
      const { link } = node;
      const databases: number[] = []; // by key that was sent: the number of replies to SELECT before it
      let [sent, lost] = [0, -1];
      while (done < sorted.length) {
        const parts: Uint8Array[] = [];
        const ahead = this.aheadOf(question);
        if (sent - done <= ahead / 2) {
          for (; sent < sorted.length && sent - done < ahead; sent++) {
            const { db, key } = sorted[sent].name;
            databases.push(db === node.db ? 0 : 1);
            if (db !== node.db) parts.push(encodeCommand(['SELECT', `${db}`]));
            node.db = db;
            for (const command of question.commands(key)) parts.push(...(place.asking ? [ASKING] : []), command);
          }
          if (parts.length > 0) link.write(Buffer.concat(parts));
        }
        const wanted = sorted[done];
        if (databases[done] === 1 && (await link.answer()) instanceof ErrorAnswer) {
          lost = wanted.name.db;
          node.db = -1;
        }
        const answer = await question.read(link, place.asking ? () => link.answer() : undefined);
        const isLost = wanted.name.db === lost; // a database that it does not have
        // where this throws, the key is not done, and is asked for again
        const elsewhere = !isLost && answer instanceof ErrorAnswer && this.redirects(place, wanted, answer.text);
        done++;
        if (isLost) await take(question.none, wanted.index);
        else if (elsewhere) again.push(wanted);
        else if (answer instanceof ErrorAnswer) await take(answer, wanted.index);
        else {
          this.learn(question, question.sizeOf(answer));
          const taking = take(answer, wanted.index);
          if (taking !== undefined) await taking;
        }
      }
    } catch (error) {
      this.unlink(placeId(place));
      if (error instanceof SyntaxError) throw new ServerError('REFUSED', place.name, error.message, error);
      this.passing(error, waiting);
      for (const wanted of sorted.slice(done)) again.push(Object.assign(wanted, { place: undefined }));
    }
    return again;
  }

  /** Whether a key is to be asked for again, and where. Throws ServerError and ConnectionLost. */
  private redirects(place: Place, wanted: Wanted, text: string): boolean {
    const { servers } = this.options;
    if (!this.isOlder && /unknown command.{0,3}pexpiretime/i.test(text)) {
      this.isOlder = true;
      throw new ConnectionLost(text); // what was asked ahead was asked in the old way
    }
    if (this.isOlder && /unknown command.{0,3}pexpiretime/i.test(text)) throw new ConnectionLost(text);
    this.reason = `${place.name}: ${text}`;
    const refusal = refusalOf(text);
    const to = redirection(text) === undefined ? undefined : servers.redirected(place.name, text);
    if (to !== undefined) {
      if (refusal === 'moved') servers.moved(to.slot, { host: to.host, port: to.port });
      const name = addressText(to);
      wanted.place = refusal === 'ask' ? { name, address: { host: to.host, port: to.port }, asking: true } : undefined;
      return true;
    }
    wanted.place = undefined;
    if (refusal === 'moved' || refusal === 'ask' || refusal === 'later') return true;
    if (refusal === 'stop') throw new ServerError('REFUSED', place.name, text, undefined, NEEDS);
    return false;
  }

  private async linked(place: Place): Promise<NodeLink> {
    const known = this.links.get(placeId(place));
    if (known !== undefined) return known;
    const { servers, signal } = this.options;
    const { process, socket } = await unlessAborted(servers.openSocket(place), signal, (late) => late.socket.destroy());
    const made = { name: place.name, link: new ReplyLink(socket, () => undefined, signal), runId: process.runId, db: 0 };
    this.links.set(placeId(place), made);
    return made;
  }

  private unlink(id: string): void {
    this.links.get(id)?.link.close();
    this.links.delete(id);
  }

  private aheadOf(question: unknown): number {
    const mean = this.means.get(question);
    return mean === undefined ? FIRST_AHEAD : Math.max(1, Math.min(MOST_AHEAD, Math.floor(AHEAD_BYTES / Math.max(1, mean))));
  }

  private learn(question: unknown, size: number): void {
    const mean = this.means.get(question) ?? 0;
    this.means.set(question, mean + (size - mean) * (size > mean ? 1 / 2 : WEIGHT));
  }

  close(): void {
    for (const id of [...this.links.keys()]) this.unlink(id);
  }
}

const EXISTENCE: Question<boolean> = {
  commands: (key) => [encodeCommand(['EXISTS', key])],
  read: async (link, before) => {
    if (before !== undefined) await before();
    const answer = await link.answer();
    return answer instanceof ErrorAnswer ? answer : answer !== 0;
  },
  sizeOf: () => 0,
  none: false,
};

const STATES: Question<{ readonly state: string | ErrorAnswer }> = {
  commands: (key) => [stateCommand(key)],
  read: async (link, before) => {
    if (before !== undefined) await before();
    const state = await readState(link);
    const isRefused = state instanceof ErrorAnswer && ['stop', 'refused'].includes(refusalOf(state.text));
    return state instanceof ErrorAnswer && !isRefused ? state : { state };
  },
  sizeOf: () => STATE_SIZE,
  none: { state: new ErrorAnswer('there is no such database') },
};

const placeId = ({ asking, name }: Place): string => `${name} ${asking}`;

/** Milliseconds, of the answer to TIME. */
function timeOf(answer: Answer): number {
  const [seconds, microseconds] = Array.isArray(answer) ? (answer as readonly Answer[]).map((part) => Number(textOf(part))) : [];
  return seconds * 1000 + Math.floor(microseconds / 1000);
}
