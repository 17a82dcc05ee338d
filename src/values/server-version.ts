import { parseTarget, type Target, TARGETS } from './targets.js';

/** What a server says of itself: `redis`, `valkey`, `keydb` or `dragonfly`, and its version. */
export interface ServerVersion {
  readonly make: string;
  readonly version: string;
}

const MAKES: Readonly<Record<string, string>> = { redis: 'Redis', valkey: 'Valkey', keydb: 'KeyDB', dragonfly: 'Dragonfly' };

/** `Redis 7.0.15`. */
export function versionText({ make, version }: ServerVersion): string {
  return `${MAKES[make]} ${version}`;
}

const numbers = (version: string): number[] => version.split('.').map((part) => Number.parseInt(part, 10) || 0);

/** Below 0 if `a` is older, above 0 if it is newer. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * The limits of a server. KeyDB reads what Redis 6.2 does (keydb rdb.h: version 9); Dragonfly reads RDB 11 (dragonfly rdb_load.cc). An
 * unknown release is treated as the newest known one before it, `assumed`: later releases read what earlier ones do.
 */
export function knownTarget({ make, version }: ServerVersion): { readonly target: Target; readonly assumed: string | undefined } {
  const vendor = make === 'valkey' ? 'valkey' : 'redis';
  if (make === 'keydb') return { target: parseTarget('6.2'), assumed: undefined };
  if (make === 'dragonfly') return { target: parseTarget('7.2'), assumed: 'Redis 7.2' };
  try {
    return { target: parseTarget(`${vendor}-${version.split('.').slice(0, 3).join('.')}`), assumed: undefined };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  const known = TARGETS.filter((target) => target.vendor === vendor);
  const before = known.filter(({ release }) => compareVersions(release, version) <= 0);
  const target = before.at(-1) ?? known[0];
  return { target, assumed: `${vendor === 'valkey' ? 'Valkey' : 'Redis'} ${target.release}` };
}
