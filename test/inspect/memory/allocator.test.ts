import { expect, test } from 'vitest';
import { allocated } from '../../../src/inspect/memory/allocator.js';

const SIZES = {
  jemalloc: [[1, 8], [8, 8], [9, 16], [24, 24], [33, 40], [64, 64], [65, 80], [129, 160], [4097, 5120], [8193, 10240], [2 ** 30 + 1, 1.25 * 2 ** 30]],
  'jemalloc-16': [[8, 8], [9, 16], [24, 32], [33, 48], [65, 80], [129, 160], [4097, 5120]],
  libc: [[1, 24], [24, 24], [25, 40], [88, 88], [200_000, 49 * 4096 - 16]],
} as const;

test.each(['jemalloc', 'jemalloc-16', 'libc'] as const)('sizes of %s', (allocator) => {
  for (const [size, given] of SIZES[allocator]) expect([size, allocated(size, allocator)]).toEqual([size, given]);
});
