import { isDeepStrictEqual } from 'node:util';
import type FastCheck from 'fast-check';
import { expect, vi } from 'vitest';
import { FACTOR } from './factor.js';

/* What is deeply equal needs no other look, which takes ten times as long. */
expect.addEqualityTesters([(a, b) => (typeof a === 'object' && isDeepStrictEqual(a, b) ? true : undefined)]);

/* Properties name their counts themselves, so a global numRuns of fast-check would not do. */
if (FACTOR < 1) {
  vi.doMock('fast-check', async (original) => {
    const { default: fc } = await original<{ default: typeof FastCheck }>();
    const assert = <T>(property: Parameters<typeof fc.assert<T>>[0], parameters: Parameters<typeof fc.assert<T>>[1]) =>
      fc.assert(property, { ...parameters, numRuns: Math.ceil((parameters?.numRuns ?? 100) * FACTOR) });
    return { default: { ...fc, assert } };
  });
}
