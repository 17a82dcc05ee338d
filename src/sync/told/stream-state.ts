/*
 * What tells that a stream is as it was, without its entries: XINFO STREAM … FULL COUNT 1. Entries, and the expiry of the key, are told
 * when they change. Of what is not told, XGROUP and XSETID change names and numbers in the reply; XACK and XACKDEL how many entries are
 * pending; and whatever delivers or claims an entry sets the time, in milliseconds, at which the consumer was seen (redis t_stream.c).
 */
import { createHash } from 'node:crypto';
import { ByteBuilder } from '../../bytes/builder.js';
import { ARRAY, BULK, ERROR, type ErrorAnswer, PLUS, type ReplyLink } from '../../redis/reply-link.js';
import { encodeCommand } from '../../redis/commands.js';
import type { ServerVersion } from '../../values/server-version.js';

/** Bytes that are hashed at once. */
const ENOUGH = 1 << 16;
/** Releases of Redis and Valkey of which it is not known that all commands are as above: Redis 8.6 got XCFGSET, later ones XNACK. */
const FIRST_UNSURE: Readonly<Record<string, number>> = { redis: 806, valkey: 1000, keydb: Infinity };

/** Whether a stream of such a server has not changed where its state is the same. */
export function hasStates({ make, version }: ServerVersion): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major >= 6 && Object.hasOwn(FIRST_UNSURE, make) && 100 * major + minor < FIRST_UNSURE[make];
}

export const stateCommand = (key: Uint8Array): Uint8Array => encodeCommand(['XINFO', 'STREAM', key, 'FULL', 'COUNT', '1']);

/** Reads the reply to `stateCommand`, whose digest it gives. Throws ConnectionLost and SyntaxError. */
export async function readState(link: ReplyLink): Promise<string | ErrorAnswer> {
  await link.more(1);
  if (link.bytes[link.pos] === ERROR) return (await link.answer()) as ErrorAnswer;
  const hash = createHash('sha256');
  const held = new ByteBuilder();
  const add = (end: number): void => {
    held.copy(link.bytes, link.pos, end);
    link.pos = end;
    if (held.length < ENOUGH) return;
    hash.update(held.view());
    held.clear();
  };
  for (let left = 1; left > 0; left--) {
    await link.more(1);
    const kind = link.bytes[link.pos];
    if (kind === PLUS || kind === ERROR) {
      add(await link.whole(() => link.lineEnd(link.pos)));
      continue;
    }
    const end = await link.whole(() => link.number(link.pos));
    const { value } = link;
    add(end);
    if (kind === ARRAY) left += Math.max(0, value);
    if (kind !== BULK || value < 0) continue;
    for (let rest = value + 2; rest > 0; ) {
      await link.more(1);
      const to = Math.min(link.end, link.pos + rest);
      rest -= to - link.pos;
      add(to);
    }
  }
  return hash.update(held.view()).digest('base64');
}
