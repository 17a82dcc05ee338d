import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parseTarget } from '../../src/values/targets.js';
import { type Transcoded, Transcoder } from '../../src/values/transcode.js';
import { serverFile, SERVERS } from '../support/dump-support.js';
import { STRIDE } from '../support/factor.js';
import { decoded, expected, framesOf, received, type Value } from '../support/transcode-support.js';

/** One server for every table of types. */
const RELEASES = ['2.8', '3.2', '4.0', '6.2', '7.0', '7.2', '8.0', '8.6', '8.8', '8.10', 'valkey-8.1', 'valkey-9.1'];

/** `toEqual`, but fast where they are. */
function same(got: unknown, want: unknown): void {
  if (!isDeepStrictEqual(got, want)) expect(got).toEqual(want);
}

const alike = (a: Transcoded, b: Transcoded): boolean =>
  a.type === b.type && a.outcome === b.outcome && Buffer.compare(a.bytes.subarray(a.start, a.end), b.bytes.subarray(b.start, b.end)) === 0;

/** All values of a file, once for all releases. */
const valuesOf = (file: Uint8Array): Value[] => Array.from(framesOf(file), decoded);

describe.each(SERVERS)('%s', (name) => {
  const file = serverFile(name);
  let values: Value[] | undefined;

  test.each(RELEASES)('for %s', (release) => {
    values ??= valuesOf(file);
    let at = 0;
    const target = parseTarget(release);
    const strict = new Transcoder(target);
    const lenient = new Transcoder(target, { allowLoss: true });
    const reasons = new Set<string>();
    for (const frame of framesOf(file)) {
      const want = values[at++];
      if (at % STRIDE !== 0) continue;
      const found = strict.record(frame);
      if (found.outcome === 'refused') {
        reasons.add(found.reason.replace(/\d+ of \d+/, 'some'));
        expect(found.avoidable).toBe(frame.redisType === 'hash');
      } else {
        same(received(target, found), expected(frame.redisType, want, found));
      }
      const kept = lenient.record(frame);
      // the same bytes come to the same value
      if (kept.outcome !== 'refused' && (found.outcome === 'refused' || !alike(found, kept))) same(received(target, kept), expected(frame.redisType, want, kept));
    }
    const who = `Redis ${release}`.replace('Redis valkey-', 'Valkey ');
    const allowed = [`${who} has no streams`, `${who} has no expiry of single hash fields: some have one`, `${who} has no values of type module (MODULE_2)`];
    expect([...reasons].filter((reason) => !allowed.includes(reason))).toEqual([]);
    if (['7.4', '8.0'].some((later) => name.startsWith(`redis-${later}`)) && ['8.0', '8.6', '8.8', '8.10', 'valkey-9.1'].includes(release)) expect([...reasons]).toEqual([]);
  });
});
