import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ARRAY, ERROR, INTEGER, NO_REPLY, OK, QUEUED, ReplyReader } from '../../src/redis/replies.js';

const word = fc.stringMatching(/^[A-Z]{1,8}( [ -~]{0,20})?$/);
const leaf = fc.oneof(
  fc.constant('+OK\r\n'),
  word.map((text) => `+${text}\r\n`),
  word.map((text) => `-${text}\r\n`),
  fc.maxSafeInteger().map((number) => `:${number}\r\n`),
  fc.constantFrom('+OK\r\n', '+QUEUED\r\n', '$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n'),
  fc.string().map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`),
);
const { reply } = fc.letrec<{ reply: string; array: string }>((tie) => ({
  reply: fc.oneof({ maxDepth: 3 }, leaf, tie('array')),
  array: fc.array(tie('reply'), { maxLength: 4 }).map((items) => `*${items.length}\r\n${items.join('')}`),
}));

/** What the reader says, with runs of OK as single ones. */
function read(chunks: readonly Uint8Array[]): string[] {
  const reader = new ReplyReader();
  const found: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk.slice());
    for (let kind = reader.next(); kind !== NO_REPLY; kind = reader.next()) {
      if (kind === OK) found.push(...Array.from({ length: reader.count }, () => 'OK'));
      else if (kind === QUEUED) found.push(...Array.from({ length: reader.count }, () => 'other'));
      else found.push(kind === ERROR ? `-${reader.text}` : kind === INTEGER ? `:${reader.integer}` : 'other');
    }
  }
  return found;
}

function said(text: string): string {
  if (text === '+OK\r\n') return 'OK';
  return text.startsWith('-') || text.startsWith(':') ? text.slice(0, -2) : 'other';
}

test('replies are the same in any chunks', () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (replies, sizes) => {
      const whole = Buffer.from(replies.join(''));
      const chunks: Uint8Array[] = [];
      for (let at = 0, i = 0; at < whole.length; at += sizes[i++ % sizes.length]) chunks.push(whole.subarray(at, at + sizes[i % sizes.length]));
      expect(read([whole])).toEqual(replies.map(said));
      expect(read(chunks)).toEqual(replies.map(said));
    }),
  );
});

test('errors within an array are told by the index of their element', () => {
  const nested = fc.array(reply, { maxLength: 3 }).map((items) => `*${items.length}\r\n${items.join('')}`);
  fc.assert(
    fc.property(fc.array(fc.oneof(leaf, nested), { minLength: 1, maxLength: 12 }), (elements) => {
      const reader = new ReplyReader();
      reader.push(Buffer.from(`*${elements.length}\r\n${elements.join('')}`));
      expect(reader.next()).toBe(ARRAY);
      const texts = elements.flatMap((element, index) =>
        element.startsWith('-') ? [{ index, text: element.slice(1, -2) }] : element.startsWith('*') ? errorsIn(element, index) : [],
      );
      expect(reader.array.errors).toEqual(texts);
      const lastElement = elements.at(-1) ?? '';
      const integer = lastElement.startsWith(':') ? Number(lastElement.slice(1, -2)) : undefined;
      expect(reader.array.last).toBe(lastElement.startsWith('*') ? reader.array.last : integer);
      expect(reader.next()).toBe(NO_REPLY);
    }),
  );
});

/** Errors in an array that is an element, as this test reads it. */
function errorsIn(array: string, index: number): { index: number; text: string }[] {
  const found: { index: number; text: string }[] = [];
  for (let at = 0; at < array.length; ) {
    const end = array.indexOf('\r\n', at);
    const line = array.slice(at, end);
    at = end + 2;
    if (line.startsWith('-')) found.push({ index, text: line.slice(1) });
    const size = line.startsWith('$') ? Number(line.slice(1)) : -1;
    if (size >= 0) at += Buffer.from(array.slice(at)).subarray(0, size).toString().length + 2;
  }
  return found;
}
