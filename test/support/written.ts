import { expect } from 'vitest';

const decoder = new TextDecoder();

/** What a writer writes, and that it stays where it was told to. */
export function written(size: number, write: (out: Uint8Array, o: number) => number): string {
  const out = new Uint8Array(size + 16).fill(0xaa);
  const end = write(out, 8);
  expect(end - 8).toBeLessThanOrEqual(size);
  expect(out.subarray(0, 8).every((byte) => byte === 0xaa)).toBe(true);
  expect(out.subarray(8 + size).every((byte) => byte === 0xaa)).toBe(true);
  return decoder.decode(out.subarray(8, end));
}
