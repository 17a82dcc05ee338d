import type { LiveOptions } from '../live/options.js';
import { redacted } from '../redis/url.js';
import { compare, type DiffSummary, type TakeDifference } from './diff.js';
import type { RestoreOptions } from './restore.js';

/**
 * Milliseconds that expiries may be apart: servers before Redis 5.0 take relative ones, and those before 7.0 only tell what is left, so
 * that neither writing nor reading is exact.
 */
export const TOLERANCE = 1000;

/** How the sources of a restore are compared with its target. */
export interface VerifyTerms {
  readonly level: 'keys' | 'values';
  /** How to read the target (default: as it allows). */
  readonly via?: LiveOptions['via'];
  /** Milliseconds that expiries may be apart (default: TOLERANCE). */
  readonly tolerance?: number | undefined;
}

/**
 * Compares the sources of a restore with its target, as it was to write them. Keys that only the target has are differences where the
 * target had to be empty; with `skip` and `replace` they are not. Throws ServerError and what `take` throws.
 */
export function verify(
  options: RestoreOptions,
  { level, tolerance = TOLERANCE, via }: VerifyTerms,
  take: TakeDifference,
): Promise<DiffSummary> {
  const { cluster, conflict = 'error', filter = {}, live, natMap, retryFor, sentinelLogin, signal, tls, url } = options;
  const name = redacted(url);
  const target: LiveOptions = { access: { url, tls, sentinelLogin, natMap }, cluster, side: 'target', retryFor, signal, via };
  return compare(
    {
      ...{ ...options, level, tolerance, functions: false, intoDb: url.db, oneWay: conflict !== 'error' },
      ...{ targets: [name], live: new Map([...(live ?? []), [name, target]]) },
      // a key that has another type, expiry or size on the target is there all the same
      targetFilter: { ...filter, type: undefined, notType: undefined, ttl: undefined, minSize: undefined, maxSize: undefined },
    },
    take,
  );
}
