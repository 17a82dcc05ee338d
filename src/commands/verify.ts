import { redacted } from '../redis/url.js';
import { compare, type DiffSummary, type TakeDifference } from './diff.js';
import type { RestoreOptions } from './restore.js';

/**
 * Milliseconds that expiries may be apart: servers before Redis 5.0 take relative ones, and those before 7.0 only tell what is left, so
 * that neither writing nor reading is exact.
 */
const TOLERANCE = 1000;

/**
 * Compares the sources of a restore with its target, as it was to write them. Keys that only the target has are differences where the
 * target had to be empty; with `skip` and `replace` they are not. Throws ServerError and what `take` throws.
 */
export function verify(options: RestoreOptions, level: 'keys' | 'values', take: TakeDifference): Promise<DiffSummary> {
  const { conflict = 'error', filter = {}, live, natMap, retryFor, sentinelLogin, signal, tls, url } = options;
  const name = redacted(url);
  const target = { access: { url, tls, sentinelLogin, natMap }, cluster: options.cluster, retryFor, signal };
  return compare(
    {
      ...{ ...options, level, tolerance: TOLERANCE, functions: false, intoDb: url.db, oneWay: conflict !== 'error' },
      ...{ targets: [name], live: new Map([...(live ?? []), [name, target]]) },
      // a key that has another type, expiry or size on the target is there all the same
      targetFilter: { ...filter, type: undefined, notType: undefined, ttl: undefined, minSize: undefined, maxSize: undefined },
    },
    take,
  );
}
