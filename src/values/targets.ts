import { TABLES, type TypeRow, type Vendor } from '../rdb/types.js';

/** A server that is written for: what it reads, and what its RESTORE takes. */
export interface Target {
  /** `redis 6.2`. */
  readonly name: string;
  /** Whose numbering of types and versions its files have. */
  readonly vendor: Vendor;
  /** RDB version that it writes; the footer of payloads for it. */
  readonly version: number;
  /** Number of the release, 602 for 6.2; Valkey 7.2 is Redis 7.2, and later ones have all that it has. */
  readonly release: number;
}

/** RDB version by the first release that writes it (tags of redis and valkey, rdb.h). */
const REDIS: readonly (readonly [release: string, version: number])[] = [
  ['2.6', 6], ['2.8', 6], ['3.0', 6], ['3.2', 7], ['4.0', 8], ['5.0', 9], ['6.0', 9], ['6.2', 9], ['7.0', 10], ['7.2', 11], ['7.4', 12],
  ['8.0', 12], ['8.2', 12], ['8.4', 12], ['8.6', 13], ['8.8', 14], ['8.10', 15],
];
const VALKEY: readonly (readonly [release: string, version: number])[] = [['7.2', 11], ['8.0', 11], ['8.1', 11], ['9.0', 80], ['9.1', 80]];

/** Valkey files are Valkey's own from this version on; before, they are those of Redis 7.2. */
const VALKEY_OWN = 80;

const numberOf = (release: string): number => {
  const [major, minor] = release.split('.').map(Number);
  return major * 100 + minor;
};

function targetsOf(server: string, rows: typeof REDIS): Target[] {
  return rows.map(([release, version]) => ({
    name: `${server} ${release}`,
    vendor: version >= VALKEY_OWN ? 'valkey' : 'redis',
    version,
    release: numberOf(release),
  }));
}

export const TARGETS: readonly Target[] = [...targetsOf('redis', REDIS), ...targetsOf('valkey', VALKEY)];

const ALLOWED = `a server like 6.2, redis-7.4 or valkey-9.0: ${TARGETS.map(({ name }) => name.replace(' ', '-')).join(', ')}`;

/** `6.2`, `redis-6.2`, `redis-6.2.14` or `valkey-9.0`. TypeError for a server that is not in the table. */
export function parseTarget(option: string, word: string): Target {
  const match = /^(?:(redis|valkey)[- ])?(\d+\.\d+)(?:\.\d+)?$/.exec(word.toLowerCase());
  const name = `${match?.[1] ?? 'redis'} ${match?.[2] ?? ''}`;
  const target = TARGETS.find((known) => known.name === name);
  if (target === undefined) throw new TypeError(`${option} ${word}: expected ${ALLOWED}`);
  return target;
}

/** Types that only a file can have, as it defines what they refer to (redis 8.10). */
export const isReference = ({ form }: TypeRow): boolean => form === 'template-ref' || form === 'template-ref-listpack';

/** Whether files of this numbering and version may have values of the type. */
export function knows({ vendor, version }: Pick<Target, 'vendor' | 'version'>, type: TypeRow): boolean {
  return TABLES[vendor].types[type.id] === type && type.since <= version;
}

/** RESTORE takes an absolute expiry, idle time and frequency since 5.0. */
export const hasAbsoluteTtl = (target: Target | undefined): boolean => target === undefined || target.release >= 500;

/** RESTORE replaces since 3.0. */
export const hasReplace = (target: Target | undefined): boolean => target === undefined || target.release >= 300;
