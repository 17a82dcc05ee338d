import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, ErrorAnswer, ReplyLink, textOf } from '../redis/reply-link.js';
import { encodeCommand } from '../redis/commands.js';
import { ConnectionLost, mayPass, reasonOf, ServerError } from '../redis/errors.js';
import { isUnknownCommand, refusalOf } from '../redis/refusals.js';
import type { Master, Servers } from '../redis/servers.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { Waiting } from '../redis/waiting.js';

/**
 * Milliseconds added to expiries while a sync runs, so that only the source deletes keys: one that is renewed there just before it expires
 * would be gone on a target that is late. Real expiries are before the year 3084, where those that are held begin; later ones cannot be
 * told from them once they are released, so what is held from them stays as it is, beyond the year 4199.
 */
export const HOLD = 2 ** 45;

export interface MoveOptions {
  /** Number of databases of the target. */
  readonly databases: number;
  /** Name of the connections (default: none). */
  readonly label?: string | undefined;
  /** Asked when a connection has its name, before anything is changed (default: yes). */
  readonly may?: (() => Promise<boolean>) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

/** Milliseconds to try again what may pass, and between two attempts; one that took longer than this made progress. */
const RETRY_FOR = 60_000;
const RETRY_EVERY = 500;
const LONG = 10_000;

/** Which expiries are moved, by how much, and the condition of HPEXPIREAT that is true for them. */
interface Move {
  readonly from: number;
  readonly to: number;
  readonly by: number;
  readonly condition: 'GT' | 'LT';
}

const RELEASE: Move = { from: HOLD, to: 2 * HOLD, by: -HOLD, condition: 'LT' };
const HOLD_AGAIN: Move = { from: 0, to: HOLD, by: HOLD, condition: 'GT' };

/**
 * Gives keys and hash fields their real expiries, and returns how many had others; undefined: `may` said no. It may be interrupted and done
 * again. Throws ServerError and the reason of the signal.
 */
export function releaseExpiries(servers: Servers, options: MoveOptions): Promise<number | undefined> {
  return moved(servers, options, RELEASE);
}

/** The other way round, for the keys that are concerned. Returns how many. */
export async function holdExpiries(servers: Servers, options: MoveOptions, concerns: Concerns): Promise<number> {
  return (await moved(servers, options, HOLD_AGAIN, concerns)) ?? 0;
}

/** The keys that are concerned: all, if that is not said. */
type Concerns = ((db: number, key: Uint8Array) => boolean) | undefined;

async function moved(servers: Servers, options: MoveOptions, move: Move, concerns?: Concerns): Promise<number | undefined> {
  const { onEvent, signal } = options;
  const waiting = new Waiting(RETRY_FOR, onEvent);
  let count = 0;
  for (;;) {
    const begun = Date.now();
    const mover = { move, concerns, count: () => count++ };
    const results = await Promise.allSettled(servers.masters.map((master) => movedAt(servers, master, options, mover)));
    signal?.throwIfAborted();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return results.some((result) => result.status === 'fulfilled' && !result.value) ? undefined : count;
    const error = failed.reason as unknown;
    if (Date.now() - begun > LONG) waiting.from(Date.now());
    if (!(error instanceof ServerError) || !mayPass(error) || waiting.tooLong) throw error;
    waiting.tell(error.message, 0);
    await delay(RETRY_EVERY, undefined, { signal });
    await servers.refresh();
  }
}

/** Returns whether it may. */
async function movedAt(servers: Servers, master: Master, options: MoveOptions, what: Moved): Promise<boolean> {
  const { databases, label, may, signal } = options;
  let link: ReplyLink | undefined;
  try {
    const { socket } = await unlessAborted(servers.openSocket(master), signal, (late) => late.socket.destroy());
    link = new ReplyLink(socket, () => undefined, signal);
    if (label !== undefined) await link.ask('CLIENT', 'SETNAME', label); // it may be refused
    if ((await may?.()) === false) return false;
    await new Mover(link, master.name, what).all(databases);
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SyntaxError) throw new ServerError('REFUSED', master.name, error.message, error);
    if (error instanceof ConnectionLost) throw new ServerError('LOST', master.name, reasonOf(error), error);
    throw error;
  } finally {
    link?.close();
  }
}

/** How expiries are asked for and set: from Redis 7.0 on as times, before as what is left of them. */
interface Way {
  readonly asks: string;
  readonly sets: string;
  /** Options of `sets`: a key that was written meanwhile is left alone. */
  readonly options: readonly string[];
  /** What it counts from, in Unix ms. */
  readonly since: number;
}

/** What is done on each master. */
interface Moved {
  readonly move: Move;
  readonly concerns: Concerns;
  readonly count: () => unknown;
}

/** Keys, and fields of a hash, asked for at once. */
const AT_ONCE = 1000;

/**
 * A key that was written between the two commands is left alone. KEYS: the key; ARGV: how to ask and set, the bounds, and what is added.
 */
const SCRIPT = `local at = redis.call(ARGV[1], KEYS[1])
if at < tonumber(ARGV[3]) or at >= tonumber(ARGV[4]) then return 0 end
return redis.call(ARGV[2], KEYS[1], string.format('%.0f', at + tonumber(ARGV[5])))`;

interface Found {
  readonly key: Uint8Array;
  readonly at: number;
}

/** On one master. */
class Mover {
  private way: Way;
  /** Whether the server takes scripts, as far as is known. */
  private scripts = true;

  constructor(
    private readonly link: ReplyLink,
    private readonly name: string,
    private readonly what: Moved,
  ) {
    this.way = { asks: 'PEXPIRETIME', sets: 'PEXPIREAT', options: ['XX', what.move.condition], since: 0 };
  }

  async all(databases: number): Promise<void> {
    const probe = await this.link.ask('PEXPIRETIME', PROBE);
    if (isUnknown(probe)) this.way = { asks: 'PTTL', sets: 'PEXPIRE', options: [], since: await this.now() };
    for (const { db, fields } of await this.databases(databases)) {
      if (db !== 0) this.checked(await this.link.ask('SELECT', `${db}`));
      await this.keys(db);
      if (fields) await this.hashes(db);
    }
  }

  private async now(): Promise<number> {
    const answer = this.checked(await this.link.ask('TIME'));
    const [seconds = NaN, micros = NaN] = Array.isArray(answer) ? answer.map((part: Answer) => Number(textOf(part))) : [];
    if (!Number.isSafeInteger(seconds)) throw new ServerError('REFUSED', this.name, 'TIME gives something else than a time');
    return seconds * 1000 + Math.floor(micros / 1000);
  }

  /** Those that have keys, and whether their hashes may have fields with expiries. */
  private async databases(count: number): Promise<{ db: number; fields: boolean }[]> {
    const info = textOf(await this.link.ask('INFO', 'keyspace'));
    if (info !== undefined) {
      return [...info.matchAll(/^db(\d+):(.*)$/gm)].map(([, db, told]) => {
        // Redis 7.4 and Valkey 9 tell in how many hashes
        return { db: Number(db), fields: /(?:subexpiry|keys_with_volatile_items)=[1-9]/.test(told) };
      });
    }
    const fields = !isUnknown(await this.link.ask('HPEXPIRETIME', PROBE, 'FIELDS', '1', PROBE));
    return Array.from({ length: count }, (_, db) => ({ db, fields }));
  }

  /** All keys of the database that is selected. The next page is asked for with the expiries of the one before it. */
  private async keys(db: number): Promise<void> {
    const { link, way } = this;
    const { from, to } = this.bounds;
    let page: Page | undefined = { cursor: '0', keys: [] };
    let held: Found[] = [];
    while (page !== undefined || held.length > 0) {
      const { cursor, keys: all }: Page = page ?? { cursor: undefined, keys: [] };
      const keys = this.chosen(db, all);
      link.write(
        Buffer.concat([
          ...held.map((found) => this.setting(found)),
          ...keys.map((key) => encodeCommand([way.asks, key])),
          ...(cursor === undefined ? [] : [encodeCommand(['SCAN', cursor, 'COUNT', `${AT_ONCE}`])]),
        ]),
      );
      const refused: Found[] = [];
      for (const found of held) if (!(await this.wasSet())) refused.push(found);
      if (refused.length > 0) this.scripts = false;
      held = refused;
      for (const key of keys) {
        const at = Number(this.checked(await link.answer()));
        if (at >= from && at < to) held.push({ key, at });
      }
      page = cursor === undefined ? undefined : pageOf(this.checked(await link.answer()));
    }
  }

  /** Between which answers an expiry is to be moved; below 0 there is none. */
  private get bounds(): { readonly from: number; readonly to: number } {
    const { from, to } = this.what.move;
    const { since } = this.way;
    return { from: Math.max(0, from - since), to: to - since };
  }

  private chosen(db: number, keys: readonly Uint8Array[]): readonly Uint8Array[] {
    const { concerns } = this.what;
    return concerns === undefined ? keys : keys.filter((key) => concerns(db, key));
  }

  private setting({ at, key }: Found): Uint8Array {
    const { asks, options, sets } = this.way;
    const { by } = this.what.move;
    const { from, to } = this.bounds;
    if (this.scripts) return encodeCommand(['EVAL', SCRIPT, '1', key, asks, sets, `${from}`, `${to}`, `${by}`]);
    return encodeCommand([sets, key, `${at + by}`, ...options]);
  }

  /** False if it has to be sent without a script. */
  private async wasSet(): Promise<boolean> {
    const answer = await this.link.answer();
    if (answer instanceof ErrorAnswer && this.scripts && ['stop', 'refused'].includes(refusalOf(answer.text))) return false;
    if (this.checked(answer) === 1) this.what.count();
    return true;
  }

  /** The fields of all hashes of the database that is selected. */
  private async hashes(db: number): Promise<void> {
    const { link } = this;
    let cursor: string | undefined = '0';
    while (cursor !== undefined) {
      const page = pageOf(this.checked(await link.ask('SCAN', cursor, 'COUNT', `${AT_ONCE}`, 'TYPE', 'hash')));
      const keys = this.chosen(db, page.keys);
      link.write(Buffer.concat(keys.map((key) => encodeCommand(['OBJECT', 'ENCODING', key]))));
      const hashes: Hash[] = [];
      for (const key of keys) {
        // a plain listpack has no room for expiries
        if (textOf(this.checked(await link.answer())) !== 'listpack') hashes.push({ key, cursor: '0' });
      }
      for (let open = hashes; open.length > 0;) open = await this.fields(open);
      cursor = page.cursor;
    }
  }

  /** Some fields of each of these hashes. Returns those that have more. */
  private async fields(hashes: readonly Hash[]): Promise<Hash[]> {
    const { link } = this;
    const { by, condition, from, to } = this.what.move;
    link.write(Buffer.concat(hashes.map(({ cursor, key }) => encodeCommand(['HSCAN', key, cursor, 'COUNT', `${AT_ONCE}`, 'NOVALUES']))));
    const pages: (Page & { readonly key: Uint8Array })[] = [];
    for (const { key } of hashes) pages.push({ key, ...pageOf(this.checked(await link.answer())) });
    const asked = pages.filter(({ keys }) => keys.length > 0);
    link.write(Buffer.concat(asked.map(({ key, keys }) => encodeCommand(['HPEXPIRETIME', key, 'FIELDS', `${keys.length}`, ...keys]))));
    const moves: Uint8Array[] = [];
    for (const { key, keys } of asked) {
      const times = this.checked(await link.answer());
      if (!Array.isArray(times)) continue; // it is gone
      (times as readonly Answer[]).forEach((answer, i) => {
        const at = Number(answer);
        if (at >= from && at < to) moves.push(encodeCommand(['HPEXPIREAT', key, `${at + by}`, condition, 'FIELDS', '1', keys[i]]));
      });
    }
    link.write(Buffer.concat(moves));
    for (let i = 0; i < moves.length; i++) {
      const answer = this.checked(await link.answer());
      if (Array.isArray(answer) && Number(answer[0]) > 0) this.what.count(); // 2: it has expired, and is deleted
    }
    return pages.flatMap(({ cursor, key }) => (cursor === undefined ? [] : [{ key, cursor }]));
  }

  /** Throws ServerError. */
  private checked(answer: Answer): Exclude<Answer, ErrorAnswer> {
    if (!(answer instanceof ErrorAnswer)) return answer;
    const passing = !['stop', 'refused'].includes(refusalOf(answer.text));
    throw new ServerError('REFUSED', this.name, answer.text, undefined, undefined, { passing });
  }
}

/** A key that is asked for to learn whether a command is known. */
const PROBE = 'rdbkit:probe';

const isUnknown = (answer: Answer): boolean => answer instanceof ErrorAnswer && isUnknownCommand(answer.text);

/** A hash, and where the next of its fields are. */
interface Hash {
  readonly key: Uint8Array;
  readonly cursor: string;
}

/** A reply of SCAN. */
interface Page {
  /** Undefined at the end. */
  readonly cursor: string | undefined;
  readonly keys: readonly Uint8Array[];
}

function pageOf(answer: Answer): Page {
  const [cursor, keys] = (Array.isArray(answer) ? answer : []) as readonly (Answer | undefined)[];
  const text = cursor === undefined ? undefined : textOf(cursor);
  if (text === undefined || !Array.isArray(keys)) throw new SyntaxError('a reply to SCAN that is none');
  return { cursor: text === '0' ? undefined : text, keys: (keys as readonly Answer[]).filter((key) => key instanceof Uint8Array) };
}
