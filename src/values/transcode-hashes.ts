import type { ByteBuilder } from '../bytes/builder.js';
import type { ListpackWriter } from '../encodings/listpack-writer.js';
import type { ZiplistWriter } from '../encodings/ziplist-writer.js';
import type { Frame } from '../rdb/frame.js';
import type { TypeRow } from '../rdb/types.js';
import { addBytes, addLength, addLength64, addString } from '../rdb/write-string.js';
import { PACKED_BYTES, PACKED_FIELDS } from './packed-limits.js';
import type { Rewriting, Survey } from './rewriting.js';
import { typeFor } from './targets.js';

/** Forms of hashes that are one packed string, and so small. */
const PACKED: ReadonlySet<string> = new Set(['listpack', 'listpack-ex', 'template-listpack', 'template-ref-listpack']);

/**
 * A hash. One with field expiries goes into the target's own type for them: HASH_METADATA (24) since Redis 7.4, HASH_2 (22)
 * since Valkey 9. For other targets they are lost, where that is allowed. The rest is packed as a listpack (16) or ziplist
 * (13), where it was packed and is small, or else plain (4).
 */
export function rewriteHash(to: Rewriting, frame: Frame): TypeRow {
  const found = to.survey(frame);
  const expiring = expiringHash(to, found);
  if (expiring !== undefined) {
    if (expiring.name === 'HASH_2') hash2(to, frame, found);
    else hashMetadata(to, frame, found);
    return expiring;
  }
  if (PACKED.has(frame.type.form) && found.items <= PACKED_FIELDS && found.longest <= PACKED_BYTES) {
    const type = to.choose('HASH_LISTPACK', 'HASH_ZIPLIST');
    packed(to, type.name === 'HASH_LISTPACK' ? to.listpack : to.ziplist, frame);
    return type;
  }
  const { out, walk } = to;
  addLength(out, found.items);
  walk.over(frame, {
    pair: (field, value) => {
      addString(out, field);
      addString(out, value);
    },
  });
  return to.choose('HASH');
}

/** The type for a hash with field expiries, or undefined where it has none or they are lost. */
export function expiringHash(to: Rewriting, { expiring, items }: Pick<Survey, 'expiring' | 'items'>): TypeRow | undefined {
  if (expiring === 0) return undefined;
  const type = typeFor(to.target, 'HASH_METADATA') ?? typeFor(to.target, 'HASH_2');
  if (type === undefined) to.lose('expiry of single hash fields', `${expiring} of ${items} have one`);
  return type;
}

/** An expiry behind field and value in HASH_2: Unix milliseconds, -1 for none. */
export function addExpiryBehind(out: ByteBuilder, expireAt: number): void {
  if (expireAt === 0) out.le64(-1, -1);
  else out.le64(Math.floor(expireAt / 0x100000000), expireAt >>> 0);
}

/** An expiry before field and value in HASH_METADATA: a length, 0 for none, else 1 + milliseconds after the least one. */
export function addExpiryBefore(out: ByteBuilder, expireAt: number, least: number): void {
  const after = expireAt === 0 ? 0 : expireAt - least + 1;
  addLength64(out, Math.floor(after / 0x100000000), after >>> 0);
}

function packed(to: Rewriting, writer: ZiplistWriter | ListpackWriter, frame: Frame): void {
  writer.begin();
  to.walk.over(frame, {
    pair: (field, value) => {
      writer.add(to.plain(field));
      writer.add(to.plain(value));
    },
  });
  const bytes = writer.finish();
  addBytes(to.out, bytes, 0, bytes.length);
}

/** A count, then field, value, and expiry in Unix milliseconds (8 bytes, little-endian), -1 for none (valkey 9.0 rdb.c, rdbSaveObject). */
function hash2({ out, walk }: Rewriting, frame: Frame, { items }: Survey): void {
  addLength(out, items);
  walk.over(frame, {
    pair: (field, value, expireAt) => {
      addString(out, field);
      addString(out, value);
      addExpiryBehind(out, expireAt);
    },
  });
}

/**
 * The least expiry (8 bytes, little-endian), a count, then expiry, field and value; the expiry as a length: 0 for none, else 1 +
 * milliseconds after the least one (redis 7.4 rdb.c, rdbSaveObject).
 */
function hashMetadata({ out, walk }: Rewriting, frame: Frame, { items, leastExpiry }: Survey): void {
  out.le64(Math.floor(leastExpiry / 0x100000000), leastExpiry >>> 0);
  addLength(out, items);
  walk.over(frame, {
    pair: (field, value, expireAt) => {
      addExpiryBefore(out, expireAt, leastExpiry);
      addString(out, field);
      addString(out, value);
    },
  });
}
