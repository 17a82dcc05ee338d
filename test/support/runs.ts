import type FastCheck from 'fast-check';
import { vi } from 'vitest';

/*
 * RDBKIT_TEST_RUNS, a factor up to 1, lowers the runs of all properties: each keeps at least one. Without it they have their
 * full counts. Properties name their counts themselves, so a global numRuns of fast-check would not do.
 */
const factor = process.env.RDBKIT_TEST_RUNS === undefined ? 1 : Number(process.env.RDBKIT_TEST_RUNS);
if (!(factor > 0 && factor <= 1)) throw new Error(`RDBKIT_TEST_RUNS=${process.env.RDBKIT_TEST_RUNS}: expected a factor above 0 and up to 1`);

if (factor < 1) {
  vi.doMock('fast-check', async (original) => {
    const { default: fc } = await original<{ default: typeof FastCheck }>();
    const assert = <T>(property: Parameters<typeof fc.assert<T>>[0], parameters: Parameters<typeof fc.assert<T>>[1]) =>
      fc.assert(property, { ...parameters, numRuns: Math.ceil((parameters?.numRuns ?? 100) * factor) });
    return { default: { ...fc, assert } };
  });
}
