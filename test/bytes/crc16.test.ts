import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc16, keySlot, SLOTS } from '../../src/bytes/crc16.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const slot = (key: string): number => keySlot(utf8(key));
const plain = (text: string): number => crc16(utf8(text)) % SLOTS;

test('CRC-16/XMODEM check values', () => {
  expect(crc16(utf8('123456789'))).toBe(0x31c3);
  expect(crc16(new Uint8Array(0))).toBe(0);
});

test('slots as CLUSTER KEYSLOT gives them', () => {
  expect(slot('123456789')).toBe(0x31c3 % SLOTS);
  expect(slot('foo')).toBe(12182);
  expect(slot('bar')).toBe(5061);
  expect(slot('')).toBe(0);
});

test('the hash tag is what counts, from the first { to the first } after it, if it is not empty', () => {
  expect(slot('{user1000}.following')).toBe(plain('user1000'));
  expect(slot('{user1000}.followers')).toBe(plain('user1000'));
  expect(slot('foo{}{bar}')).toBe(plain('foo{}{bar}'));
  expect(slot('foo{{bar}}zap')).toBe(plain('{bar'));
  expect(slot('foo{bar}{zap}')).toBe(plain('bar'));
  expect(slot('}foo{bar}')).toBe(plain('bar'));
  expect(slot('foo{bar')).toBe(plain('foo{bar'));
  expect(slot('foo}bar{')).toBe(plain('foo}bar{'));
});

test('any key: a tag found by regular expression, a CRC by long division', () => {
  const key = fc.array(fc.oneof(fc.constantFrom(0x7b, 0x7d, 0x61), fc.integer({ min: 0, max: 255 })), { maxLength: 12 });
  fc.assert(fc.property(key, (bytes) => {
    const text = String.fromCharCode(...bytes);
    const tag = /^[^{]*\{([^}]+)\}/s.exec(text)?.[1] ?? text;
    expect(keySlot(Uint8Array.from(bytes))).toBe(divide(Array.from(tag, (letter) => letter.charCodeAt(0))) % SLOTS);
  }));
});

test('only the given range is read', () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (before, key, after) => {
    const all = Uint8Array.from([...before, ...key, ...after]);
    expect(keySlot(all, before.length, before.length + key.length)).toBe(keySlot(key));
  }));
});

/** The remainder of the message, 16 zero bits behind it, by x^16 + x^12 + x^5 + 1. */
function divide(bytes: readonly number[]): number {
  let rest = 0n;
  for (const byte of [...bytes, 0, 0]) rest = (rest << 8n) | BigInt(byte);
  for (let top = BigInt(bytes.length * 8 + 15); top >= 16n; top--) {
    if ((rest >> top) & 1n) rest ^= 0x11021n << (top - 16n);
  }
  return Number(rest);
}
