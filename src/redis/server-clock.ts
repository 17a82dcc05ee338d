import type { Redis } from 'ioredis';

/** The clock of a server. */
export class ServerClock {
  /**
   * Milliseconds that it is ahead of this machine's; undefined if the server does not tell the time, in which case this machine's
   * is used.
   */
  constructor(public ahead: number | undefined) {}

  /** Unix milliseconds. */
  now(): number {
    return Date.now() + (this.ahead ?? 0);
  }
}

/** INFO, whole or one section, and how far the server's clock is ahead. */
export async function timedInfo(client: Redis, ...section: [] | [string]): Promise<{ text: string; ahead: number | undefined }> {
  const before = Date.now();
  const text = await client.info(...section);
  const microseconds = /^server_time_usec:(\d+)/m.exec(text)?.[1];
  return { text, ahead: aheadOf(Number(microseconds) / 1000, before) ?? (await aheadByTime(client)) };
}

/** For servers whose INFO has no time (before 7.0) and that allow TIME. */
export async function aheadByTime(client: Redis): Promise<number | undefined> {
  const before = Date.now();
  const time: unknown = await client.time().catch(() => undefined);
  const [seconds, microseconds] = Array.isArray(time) ? time.map(Number) : [];
  return aheadOf(seconds * 1000 + microseconds / 1000, before);
}

/**
 * The server read its clock between request and reply. That is taken as the middle, and as 0 if it may agree with this machine's,
 * so that a slow reply does not count as a wrong clock. Undefined if `time` is no time.
 */
function aheadOf(time: number, before: number): number | undefined {
  const after = Date.now();
  if (time >= before && time < after + 1) return 0;
  const ahead = Math.round(time - (before + after) / 2);
  return Number.isSafeInteger(ahead) ? ahead : undefined;
}
