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
  return { text, ahead: aheadOf(Number(microseconds) / 1000, before) ?? (await aheadByTime(client)) };
}

/** Of servers whose INFO does not say it (before 7.0), where TIME is allowed. */
async function aheadByTime(client: Redis): Promise<number | undefined> {
  const before = Date.now();
  const time: unknown = await client.time().catch(() => undefined);
  const [seconds, microseconds] = Array.isArray(time) ? time.map(Number) : [];
  return aheadOf(seconds * 1000 + microseconds / 1000, before);
}

/**
 * The server looked at its clock between question and answer: in the middle, but 0 where this machine's clock may be as right, so that a
 * slow answer is not taken for a wrong clock. Undefined where that is no time.
 */
function aheadOf(time: number, before: number): number | undefined {
  const after = Date.now();
  if (time >= before && time < after + 1) return 0;
  const ahead = Math.round(time - (before + after) / 2);
  return Number.isSafeInteger(ahead) ? ahead : undefined;
}
