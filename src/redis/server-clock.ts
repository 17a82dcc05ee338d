import type { Redis } from 'ioredis';

/** The clock of a server, as far as it is known. */
export class ServerClock {
  /** Milliseconds that it is ahead of this machine's; undefined where the server does not tell the time: then this machine's counts. */
  constructor(public ahead: number | undefined) {}

  /** Unix milliseconds. */
  now(): number {
    return Date.now() + (this.ahead ?? 0);
  }
}

/** What INFO says, all of it or a section, and how far the server's clock is ahead. */
export async function timedInfo(client: Redis, ...section: [] | [string]): Promise<{ text: string; ahead: number | undefined }> {
  const before = Date.now();
  const text = await client.info(...section);
  const microseconds = /^server_time_usec:(\d+)/m.exec(text)?.[1];
  return { text, ahead: microseconds === undefined ? await aheadByTime(client) : aheadOf(Number(microseconds) / 1000, before) };
}

/** Of servers whose INFO does not say it (before 7.0), where TIME is allowed. */
async function aheadByTime(client: Redis): Promise<number | undefined> {
  const before = Date.now();
  const time: unknown = await client.time().catch(() => undefined);
  if (!Array.isArray(time)) return undefined;
  const [seconds, microseconds] = time.map(Number);
  const ahead = aheadOf(seconds * 1000 + microseconds / 1000, before);
  return Number.isNaN(ahead) ? undefined : ahead;
}

/** The server looked at its clock in the middle between question and answer. */
const aheadOf = (time: number, before: number): number => Math.round(time - (before + Date.now()) / 2);
