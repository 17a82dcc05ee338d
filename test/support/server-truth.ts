import type { Redis } from 'ioredis';
import { formatText } from '../../src/bytes/text.js';

type Reply = Buffer | number | null | Reply[];

/** What a server itself answers for every key of its databases, as JSON lines. */
export async function serverTruth(client: Redis, databases: readonly number[]): Promise<string> {
  const lines: string[] = [];
  for (const db of databases) {
    await client.select(db);
    for (const key of (await client.callBuffer('KEYS', '*')) as Buffer[]) {
      const type = await client.type(key);
      const value = await (READ[type])(client, key);
      const expireAt = await expiry(client, key);
      lines.push(JSON.stringify({ db, key: text(key), type, ...(expireAt >= 0 ? { expireAt } : {}), value }));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Unix milliseconds, or below 0. Before 7.0 there is no PEXPIRETIME: then what PTTL says, in a millisecond that is known. */
async function expiry(client: Redis, key: Buffer): Promise<number> {
  const told = await client.call('PEXPIRETIME', key).catch(() => undefined);
  if (told !== undefined) return told as number;
  for (;;) {
    const [[, before], [, left], [, after]] = (await client.multi().time().pttl(key).time().exec()) as [Error | null, unknown][];
    const [from, to] = [before, after].map((time) => (time as [string, string]).map(Number)).map(([seconds, micros]) => seconds * 1000 + Math.floor(micros / 1000));
    if ((left as number) < 0) return -1;
    if (from === to) return from + (left as number);
  }
}

const text = (bytes: Buffer): string => formatText(new Uint8Array(bytes));

const READ: Readonly<Record<string, (client: Redis, key: Buffer) => Promise<unknown>>> = {
  string: async (client, key) => text((await client.getBuffer(key)) as Buffer),
  list: async (client, key) => (await client.lrangeBuffer(key, 0, -1)).map(text),
  set: async (client, key) => ((await client.callBuffer('SMEMBERS', key)) as Buffer[]).map(text),
  zset: async (client, key) => {
    const flat = (await client.callBuffer('ZRANGE', key, '0', '-1', 'WITHSCORES')) as Buffer[];
    return pairs(flat, (score) => numberOf(score.toString()));
  },
  hash: async (client, key) => {
    const value = pairs((await client.callBuffer('HGETALL', key)) as Buffer[], text);
    const expiries = await fieldExpiries(client, key);
    return Object.fromEntries(Object.entries(value).map(([field, v]) => [field, expiries.has(field) ? { value: v, expireAt: expiries.get(field) } : v]));
  },
  stream,
};

/** Pairs of a flat reply as an object that holds any key, `__proto__` too. */
function pairs<T>(flat: readonly Buffer[], value: (bytes: Buffer) => T): Record<string, T> {
  const entries: [string, T][] = [];
  for (let i = 0; i < flat.length; i += 2) entries.push([text(flat[i]), value(flat[i + 1])]);
  return Object.fromEntries(entries);
}

function numberOf(score: string): number | string {
  return /inf|nan/.test(score) ? score : Number(score);
}

/** Of a hash whose server knows field expiries (Redis 7.4, Valkey 9): those that have one. */
async function fieldExpiries(client: Redis, key: Buffer): Promise<Map<string, number>> {
  const fields = (await client.callBuffer('HKEYS', key)) as Buffer[];
  try {
    const at = (await client.call('HPEXPIRETIME', key, 'FIELDS', String(fields.length), ...fields)) as number[];
    return new Map(fields.flatMap((field, i) => (at[i] > 0 ? [[text(field), at[i]] as const] : [])));
  } catch {
    return new Map(); // an unknown command: no field has an expiry
  }
}

async function stream(client: Redis, key: Buffer): Promise<unknown> {
  const info = fields((await client.callBuffer('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0')) as Reply[]);
  return {
    entries: (info.get('entries') as [Buffer, Buffer[]][]).map(([id, values]) => ({ id: id.toString(), fields: values.map(text) })),
    length: info.get('length'),
    lastId: String(info.get('last-generated-id')),
    ...(info.has('max-deleted-entry-id') ? { maxDeletedId: String(info.get('max-deleted-entry-id')) } : {}), // since 7.0
    entriesAdded: info.get('entries-added'),
    groups: (info.get('groups') as Reply[][]).map((group) => groupOf(fields(group))),
  };
}

function groupOf(group: Map<string, Reply>): unknown {
  return {
    name: text(group.get('name') as Buffer),
    lastId: String(group.get('last-delivered-id')),
    entriesRead: group.get('entries-read'),
    pending: ((group.get('pel') ?? group.get('pending')) as [Buffer, Buffer, number, number][]).map(([id, consumer, deliveredAt, deliveries]) => ({
      id: id.toString(),
      consumer: text(consumer),
      deliveredAt,
      deliveries,
    })),
    consumers: (group.get('consumers') as Reply[][]).map((consumer) => ({
      name: text(fields(consumer).get('name') as Buffer),
      seenTime: fields(consumer).get('seen-time'),
    })),
  };
}

function fields(flat: Reply[]): Map<string, Reply> {
  const map = new Map<string, Reply>();
  for (let i = 0; i < flat.length; i += 2) map.set(String(flat[i]), flat[i + 1]);
  return map;
}
