import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../../bytes/crc16.js';
import { grouped } from '../../bytes/grouped.js';
import { ConnectionLost, mayPass, reasonOf, ServerError } from '../../redis/errors.js';
import { refusalOf } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import { type Address, addressText } from '../../redis/url.js';
import { Waiting } from '../../redis/waiting.js';
import { type AnywhereFetcher } from '../crossing.js';
import type { KeyName } from '../fences.js';
import { ofSource } from '../rights.js';
import { type Fetched, Fetcher, KeyElsewhere } from './fetcher.js';

/** A node that has keys, or gets them: then it is asked with ASKING. */
interface Place {
  readonly name: string;
  readonly address: Address | undefined;
  readonly asking: boolean;
}

type Take = (fetched: Fetched, key: KeyName) => Promise<void>;

/** Milliseconds between two attempts. */
const RETRY_EVERY = 50;
/** Keys looked for at once. */
const AT_ONCE = 1000;

/** Fetches keys of a cluster while their slots move. */
export class FetchAnywhere implements AnywhereFetcher {
  private readonly fetchers = new Map<string, Fetcher>();

  constructor(
    private readonly servers: Servers,
    private readonly onEvent: ((text: string, notable?: boolean) => void) | undefined,
  ) {}

  /** Retries without limit what may pass. Throws ServerError if a master refuses for good, and the reason of the signal. */
  async each(keys: readonly KeyName[], signal: AbortSignal, take: Take): Promise<void> {
    const waiting = new Waiting(Infinity, this.onEvent);
    const left = new Set(keys);
    while (left.size > 0) {
      signal.throwIfAborted();
      try {
        await this.attempt([...left], signal, async (fetched, key) => {
          await take(fetched, key);
          left.delete(key);
        });
        continue;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof KeyElsewhere) && !mayPass(error)) throw error;
        if (!(error instanceof KeyElsewhere)) waiting.tell(reasonOf(error));
      }
      await delay(RETRY_EVERY, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  private async attempt(keys: readonly KeyName[], signal: AbortSignal, take: Take): Promise<void> {
    await this.servers.refresh();
    for (const { keys: there, place } of await this.places(keys)) {
      const terms = { atLeast: 0, signal, asking: place.asking, apart: true };
      await this.fetcherOf(place).each(there, terms, (fetched, i) => take(fetched, there[i]));
    }
  }

  /** Where each key is now, by what the owner of its slot says. */
  private async places(keys: readonly KeyName[]): Promise<{ place: Place; keys: KeyName[] }[]> {
    const found = new Map<string, { place: Place; keys: KeyName[] }>();
    for (const [master, all] of grouped(keys, ({ key }) => this.servers.masterOf(keySlot(key)))) {
      const client = await this.servers.client(master);
      for (let at = 0; at < all.length; at += AT_ONCE) {
        const some = all.slice(at, at + AT_ONCE);
        const pipeline = client.pipeline();
        for (const { key } of some) pipeline.exists(Buffer.from(key.buffer, key.byteOffset, key.length));
        const replies = (await lost(pipeline.exec())) ?? [];
        replies.forEach(([error], i) => {
          const place = error === null ? { ...master, asking: false } : this.placeIn(master, error);
          const id = placeId(place);
          const others = found.get(id);
          if (others === undefined) found.set(id, { place, keys: [some[i]] });
          else others.keys.push(some[i]);
        });
      }
    }
    return [...found.values()];
  }

  private placeIn({ name }: Master, error: Error): Place {
    const to = this.servers.redirected(name, error.message);
    const refusal = refusalOf(error.message);
    if (to !== undefined) return { name: addressText(to), address: { host: to.host, port: to.port }, asking: refusal === 'ask' };
    const passing = refusal === 'later' || error.name !== 'ReplyError';
    throw ofSource(new ServerError('REFUSED', name, error.message, error, undefined, { passing }));
  }

  private fetcherOf(place: Place): Fetcher {
    const known = this.fetchers.get(place.name);
    if (known !== undefined) return known;
    const { address, name } = place;
    const open = async (): Promise<{ name: string; socket: Awaited<ReturnType<Servers['openSocket']>>['socket'] }> => ({
      name,
      socket: (await this.servers.openSocket({ name, address })).socket,
    });
    const made = new Fetcher({ name, open, clustered: true, known: () => true, once: true, onEvent: this.onEvent });
    this.fetchers.set(name, made);
    return made;
  }

  close(): void {
    for (const fetcher of this.fetchers.values()) fetcher.close();
    this.fetchers.clear();
  }
}

const placeId = ({ asking, name }: Place): string => `${name} ${asking}`;

async function lost<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw new ConnectionLost(reasonOf(error), { cause: error });
  }
}
