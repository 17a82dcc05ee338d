import { keySlot } from '../../bytes/crc16.js';
import type { Servers } from '../../redis/servers.js';
import { KeySet } from '../../values/key-set.js';
import type { KeyName } from '../fences.js';
import type { RecordKeys } from '../record.js';

/** Keys of a source that it leaves to another source, which has keys of the same names on the target. */
export class LeftKeys {
  private readonly known = new KeySet();
  private readonly digest = new Uint32Array(4);
  size = 0;

  has(db: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.size === 0) return false;
    this.known.digest(db, bytes, start, end, this.digest, 0);
    return this.known.hasDigest(this.digest, 0);
  }

  add({ db, key }: KeyName): void {
    if (this.known.add(db, key, 0, key.length)) this.size++;
  }
}

/** Fields of one command. */
const AT_ONCE = 500;

/** Those that a sync has left so far, as its target tells. Throws ServerError. */
export async function readLeft(servers: Servers, keys: RecordKeys): Promise<KeyName[]> {
  const fields = await servers.ask(servers.masterOf(keySlot(Buffer.from(keys.left))), (client) => client.callBuffer('HKEYS', keys.left));
  return (Array.isArray(fields) ? fields : []).flatMap((field: unknown) => {
    if (!Buffer.isBuffer(field)) return [];
    const space = field.indexOf(' ');
    return [{ db: Number(field.toString('latin1', 0, space)), key: field.subarray(space + 1) }];
  });
}

/** Tells the target of more of them, each with the source that it is left to. Throws ServerError. */
export async function writeLeft(
  servers: Servers,
  keys: RecordKeys,
  names: readonly (KeyName & { readonly to: string })[],
): Promise<void> {
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const fields = names
      .slice(at, at + AT_ONCE)
      .flatMap(({ db, key, to }) => [Buffer.concat([Buffer.from(`${db} `), key]), Buffer.from(to)]);
    await servers.ask(servers.masterOf(keySlot(Buffer.from(keys.left))), (client) => client.hset(keys.left, ...fields));
  }
}

/** Throws ServerError. */
export async function removeLeft(servers: Servers, keys: RecordKeys): Promise<number> {
  return servers.ask(servers.masterOf(keySlot(Buffer.from(keys.left))), (client) => client.del(keys.left));
}
