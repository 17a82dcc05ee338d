import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PushParser } from '../../../src/sync/told/push-parser.js';

/** What a parser says of these chunks. */
function read(chunks: readonly Uint8Array[]): string[] {
  const said: string[] = [];
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const parser = new PushParser({
    key: (bytes, start, end) => said.push(`key ${text(bytes.subarray(start, end))}`),
    flushed: () => said.push('flushed'),
    message: (channel) => said.push(`message ${text(channel)}`),
    reply: (reply) => said.push(`reply ${reply}`),
  });
  for (const chunk of chunks) parser.push(chunk);
  return said;
}

const string = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const invalidation = (names: readonly string[]): string => `>2\r\n${string('invalidate')}*${names.length}\r\n${names.map(string).join('')}`;
const MIXED = [
  `%2\r\n${string('server')}${string('redis')}${string('proto')}:3\r\n`,
  '+OK\r\n',
  invalidation(['a', '', 'with\r\nlines', 'z'.repeat(300)]),
  '+PONG\r\n',
  `>2\r\n${string('invalidate')}_\r\n`,
  `>3\r\n${string('psubscribe')}${string('__keyspace@*__:*')}:1\r\n`,
  `>4\r\n${string('pmessage')}${string('__keyspace@*__:*')}${string('__keyspace@3__:k')}${string('set')}`,
  `*4\r\n${string('pmessage')}${string('p')}${string('__keyspace@0__:k')}${string('del')}`,
  `*2\r\n${string('pong')}${string('')}`,
  `>1\r\n${string('tracking-redir-broken')}`,
  '-NOPERM no\r\n',
  '=7\r\ntxt:abc\r\n',
  '*0\r\n',
  '$-1\r\n',
  invalidation(['b']),
].join('');
const SAID = [
  ...['reply server', 'reply OK', 'key a', 'key ', 'key with\r\nlines', `key ${'z'.repeat(300)}`, 'reply PONG', 'flushed'],
  ...['reply psubscribe', 'message __keyspace@3__:k', 'message __keyspace@0__:k', 'reply pong', 'reply -NOPERM no', 'reply abc'],
  ...['reply ', 'reply ', 'key b'],
];

test('cut at every byte', () => {
  const bytes = Buffer.from(MIXED, 'latin1');
  for (let at = 0; at <= bytes.length; at++) expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(SAID);
  expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(SAID);
});

test('names of any bytes, in chunks of any size', () => {
  const pushes = fc.array(fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 5 }), { maxLength: 8 });
  fc.assert(
    fc.property(pushes, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (all, sizes) => {
      const names = all.map((some) => some.map((name) => Buffer.from(name).toString('latin1')));
      const bytes = Buffer.from(names.map(invalidation).join('+PONG\r\n'), 'latin1');
      const chunks: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length];
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      const said = names.flatMap((some, i) => [...(i === 0 ? [] : ['reply PONG']), ...some.map((name) => `key ${name}`)]);
      expect(read(chunks)).toEqual(said);
    }),
  );
});

test('what is no RESP is refused', () => {
  for (const text of ['hello\r\n', '$x\r\n', '$3\r\nabcde', '+OK\n', `*1\r\n`.repeat(20), '$99999999999\r\n']) {
    expect(() => read([Buffer.from(text)]), text).toThrow(SyntaxError);
  }
});
