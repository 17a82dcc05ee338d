/**
 * Allocators of servers: jemalloc as built with their own sources, with a quantum of 8 bytes (redis deps/Makefile,
 * --with-lg-quantum=3); that of Linux distributions, with a quantum of 16; and the GNU C library.
 */
export const ALLOCATORS = ['jemalloc', 'jemalloc-16', 'libc'] as const;
export type Allocator = (typeof ALLOCATORS)[number];

/** The size that it gives for a request, as malloc_usable_size says. */
export function allocated(size: number, allocator: Allocator): number {
  if (allocator === 'libc') return gnu(size);
  return jemalloc(size, allocator === 'jemalloc' ? 8 : 16);
}

/** 8, then multiples of the quantum, then four classes for each doubling (jemalloc size_classes.h). */
function jemalloc(size: number, quantum: number): number {
  if (size <= 8) return 8;
  const spacing = size > 2 ** 30 ? 2 ** (Math.ceil(Math.log2(size)) - 3) : 1 << (29 - Math.clz32(size - 1));
  return spacing <= quantum ? Math.ceil(size / quantum) * quantum : Math.ceil(size / spacing) * spacing;
}

/** Requests that get pages of their own. */
const PAGED = 128 << 10;
const PAGE = 4096;

/** Chunks of multiples of 16 bytes, of which 8 are their header; 16 for those that have pages of their own (glibc malloc.c). */
function gnu(size: number): number {
  if (size >= PAGED) return Math.ceil((size + 24) / PAGE) * PAGE - 16;
  return Math.max(24, Math.ceil((size + 8) / 16) * 16 - 8);
}
