import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ERROR, INTEGER, NO_REPLY, OK, ReplyReader } from '../../src/redis/replies.js';

const word = fc.stringMatching(/^[A-Z]{1,8}( [ -~]{0,20})?$/);
const leaf = fc.oneof(
  fc.constant('+OK\r\n'),
  word.map((text) => `+${text}\r\n`),
  word.map((text) => `-${text}\r\n`),
  fc.maxSafeInteger().map((number) => `:${number}\r\n`),
  fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n'),
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
