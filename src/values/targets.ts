import { FIRST_KEY_META_VERSION, VALKEY_VERSION } from '../rdb/payload.js';
import { TABLES, type TypeRow, type Vendor } from '../rdb/types.js';

/** A server to write for. */
export interface Target {
  readonly vendor: Vendor;
  /** Its release: two numbers, or three if a patch release differs from later ones. */
  readonly release: string;
  /** The RDB version that it writes, and the greatest one it reads: for headers and payload footers. */
  readonly rdbVersion: number;
  /** Whether it refuses payloads of all other versions. */
  readonly exact: boolean;
  /** How its listpacks store the lengths of entries at the border values: see listpack-borders.ts. */
  readonly wide: boolean;
}

const EXACT = { exact: true };
const WIDE = { wide: true };
const row = (vendor: Vendor, release: string, rdbVersion: number, { exact = false, wide = false } = {}): Target => ({
  vendor,
  release,
  rdbVersion,
  exact,
  wide,
});

/**
 * RDB_VERSION of the servers (rdb.h) and how RESTORE compares a footer with it (redis cluster.c, verifyDumpPayload; since 7.4 in
 * dump.c): any version up to its own; until 3.2.0 only its own. Valkey since 9.0 also takes 1 to 11, and refuses 12 to 79, which
 * are versions of Redis (valkey rdb.c, rdbIsVersionAccepted).
 */
export const TARGETS: readonly Target[] = [
  row('redis', '2.6', 6, EXACT),
  row('redis', '2.8', 6, EXACT),
  row('redis', '3.0', 6, EXACT),
  row('redis', '3.2.0', 7, EXACT),
  row('redis', '3.2', 7),
  row('redis', '4.0', 8),
  row('redis', '5.0', 9),
  row('redis', '6.0', 9),
  row('redis', '6.2', 9),
  row('redis', '7.0', 10),
  row('redis', '7.2', 11),
  row('redis', '7.4', 12),
  row('redis', '8.0', 12),
  row('redis', '8.2', 12),
  row('redis', '8.4', 12),
  row('redis', '8.6', 13),
  row('redis', '8.8', 14, WIDE),
  row('redis', '8.10', 15, WIDE),
  row('redis', '8.12', 17, WIDE),
  row('valkey', '7.2', 11),
  row('valkey', '8.0', 11),
  row('valkey', '8.1', 11),
  row('valkey', '9.0', 80),
  row('valkey', '9.1', 80, WIDE),
  row('valkey', '9.2', 81, WIDE),
];

/** Types that only exist in files, since they refer to other records. RESTORE refuses them. */
const FILE_ONLY: ReadonlySet<string> = new Set(['HASH_TMPL_LP_REF', 'HASH_TMPL_ARRAY_REF']);

/** Whether values of this type refer to other records of their file. */
export function isFileOnly({ name }: TypeRow): boolean {
  return FILE_ONLY.has(name);
}

/** Whether the target reads a value of this type as it is, in a payload or a file. */
export function reads(target: Target, type: TypeRow): boolean {
  return TABLES[target.vendor].types[type.id] === type && type.since <= target.rdbVersion && !isFileOnly(type);
}

const isValkeys = (version: number): boolean => version >= VALKEY_VERSION;
/** The last version that Redis and Valkey have in common. */
const COMMON_VERSION = 11;

/**
 * Whether RESTORE of the target takes a payload with this version in its footer; tested with every version up to 300 on servers of
 * Redis 6.0 to 8.2 and Valkey 8.0 to 9.1. Valkey since 8.1 takes others, too, if `rdb-version-check` is `relaxed`.
 */
export function acceptsVersion({ exact, rdbVersion, vendor }: Target, version: number): boolean {
  if (exact) return version === rdbVersion;
  if (vendor === 'valkey' && isValkeys(rdbVersion)) {
    return version >= 1 && (version <= COMMON_VERSION || (isValkeys(version) && version <= rdbVersion));
  }
  return version <= rdbVersion;
}

/**
 * The RDB version to send a payload with: no higher than its value needs and its file has, since a server may claim to be newer
 * than it is. Values that only Valkey has need one of its versions, also from a file of Redis.
 */
export function sentVersion(
  { exact, rdbVersion }: Target,
  { metaBytes, type }: { readonly metaBytes?: Uint8Array | undefined; readonly type: TypeRow },
  fileVersion: number,
): number {
  if (exact) return rdbVersion;
  const needed = metaBytes === undefined ? type.since : Math.max(type.since, FIRST_KEY_META_VERSION);
  return isValkeys(needed) ? needed : Math.min(needed, fileVersion);
}

/** The type of this name, if the target reads it. */
export function typeFor(target: Target, name: string): TypeRow | undefined {
  return TABLES[target.vendor].types.find((type) => type?.name === name && reads(target, type));
}

const VENDOR_NAMES: Readonly<Record<Vendor, string>> = { redis: 'Redis', valkey: 'Valkey' };

/** For messages: `Redis 6.2`. */
export function targetName({ release, vendor }: Target): string {
  return `${VENDOR_NAMES[vendor]} ${release}`;
}

/** 602 for 6.2. Valkey 7.2 counts as Redis 7.2; later Valkey releases have everything that it has. */
export function releaseNumber({ release }: Pick<Target, 'release'>): number {
  const [major, minor] = release.split('.').map(Number);
  return major * 100 + minor;
}

/** Whether modules can attach metadata to keys of any type (Redis 8.6). */
export const hasKeyMeta = ({ rdbVersion, vendor }: Target): boolean => vendor === 'redis' && rdbVersion >= FIRST_KEY_META_VERSION;

/** Whether it has function libraries (since 7.0); an undefined target is the newest one. */
export const hasFunctions = (target: Target | undefined): boolean =>
  target === undefined || target.vendor === 'valkey' || releaseNumber(target) >= 700;

/** Whether RESTORE takes an absolute expiry, idle time and frequency (since 5.0). */
export const hasAbsoluteTtl = (target: Target | undefined): boolean => target === undefined || releaseNumber(target) >= 500;

/** Whether RESTORE takes REPLACE (since 3.0). */
export const hasReplace = (target: Target | undefined): boolean => target === undefined || releaseNumber(target) >= 300;

const FORM = /^(?:(redis|valkey)[-\s]?)?v?(\d+\.\d+)(?:\.(\d+))?$/i;

/**
 * Parses the name of a server: `6.2`, `redis-7.4`, `valkey-9.1`, optionally with a patch number; Redis if there is no name. Throws
 * RangeError for other texts and unknown releases.
 */
export function parseTarget(text: string): Target {
  const match = FORM.exec(text.trim());
  if (match === null) throw new RangeError(`not a server version: ${JSON.stringify(text)}; write one like 6.2, redis-7.4 or valkey-9.1`);
  const [, name = 'redis', release, patch] = match;
  const vendor = name.toLowerCase() === 'valkey' ? 'valkey' : 'redis';
  const known = TARGETS.filter((target) => target.vendor === vendor);
  const found = known.find((target) => target.release === `${release}.${patch}`) ?? known.find((target) => target.release === release);
  if (found !== undefined) return found;
  const other = TARGETS.find((target) => target.vendor !== vendor && target.release === release);
  const meant = other === undefined ? '' : `; is ${other.vendor}-${other.release} meant?`;
  throw new RangeError(`no ${VENDOR_NAMES[vendor]} ${release} is known here: ${list(known)} are${meant}`);
}

function list(targets: readonly Target[]): string {
  const releases = targets.map(({ release }) => release).filter((release) => /^\d+\.\d+$/.test(release));
  return `${releases.slice(0, -1).join(', ')} and ${releases[releases.length - 1]}`;
}

/** The newest known server, which reads most. */
export const LATEST_REDIS = parseTarget('8.12');
