import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCommand } from '../../src/redis/commands.js';
import { argsOf } from '../../src/sync/commands/args.js';
import { commandsOfParts } from '../../src/sync/stream-parser.js';
import { Outgoing } from '../../src/sync/target/outgoing.js';

type Words = readonly string[];

const text = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('', '*3\r\n$3\r\nSET\r\n', 'x'.repeat(3000), 'y'.repeat(5000)));
const set = fc.tuple(fc.constantFrom('SET', 'set', 'Set'), text, text);
const other = fc.oneof(
  fc.tuple(fc.constant('SET'), text, text, fc.constantFrom('KEEPTTL', 'NX')),
  fc.tuple(fc.constantFrom('GET', 'INCR'), text),
  fc.tuple(fc.constantFrom('SPOP', 'SETS', 'HSET'), text, text),
  fc.constant(['EXEC']),
);
/** SETs that follow one another, and what else there is. */
const sets = fc.array(set, { minLength: 1, maxLength: 12 });
const commands = fc
  .array(fc.oneof({ weight: 3, arbitrary: sets }, { weight: 2, arbitrary: other.map((one) => [one]) }), { maxLength: 12 })
  .map((groups): Words[] => groups.flat());

/** What the parts hold, MSETs as the SETs that they are of. */
function sent(parts: readonly Uint8Array[]): { commands: number; words: string[][] } {
  let count = 0;
  const words: string[][] = [];
  for (const command of commandsOfParts(parts)) {
    count++;
    const [name, ...args] = argsOf(command).map((arg) => Buffer.from(arg).toString('latin1'));
    if (name !== 'MSET') words.push([name.toUpperCase(), ...args]);
    else for (let i = 0; i < args.length; i += 2) words.push(['SET', args[i], args[i + 1]]);
  }
  return { commands: count, words };
}

/** Commands in a few buffers, one after another or with something between them. */
function* laidOut(all: readonly Words[], breaks: fc.Stream<number>): Generator<[bytes: Uint8Array, start: number, end: number]> {
  let open: Uint8Array[] = [];
  let ranges: [number, number][] = [];
  let at = 0;
  const places = breaks[Symbol.iterator]();
  for (const [i, words] of all.entries()) {
    const bytes = encodeCommand(words);
    open.push(bytes);
    ranges.push([at, (at += bytes.length)]);
    const next = (places.next().value as number | undefined) ?? 0;
    if (next === 1) {
      open.push(Buffer.alloc(3, 'gap'));
      at += 3;
    }
    if (next !== 2 && i < all.length - 1) continue;
    const buffer = Buffer.concat(open);
    for (const [start, end] of ranges) yield [buffer, start, end];
    [open, ranges, at] = [[], [], 0];
  }
}

const breaks = fc.infiniteStream(fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(1, 2) }));

test.each([true, false])('what is sent is what was added, and as many commands and bytes as it says, with SETs joined: %s', (joins) => {
  let joined = 0;
  fc.assert(
    fc.property(fc.array(commands, { minLength: 1, maxLength: 6 }), breaks, (batches, places) => {
      const open = new Outgoing();
      if (joins) open.joinSets();
      const flying: { parts: Uint8Array[]; rooms: readonly Uint8Array[]; were: string }[] = [];
      for (const [i, batch] of batches.entries()) {
        for (const [bytes, start, end] of laidOut(batch, places)) open.add(bytes, start, end);
        if (i % 3 === 1) open.addPart(encodeCommand(['SET', 'part', 'v']), 1);
        const expected = [...batch, ...(i % 3 === 1 ? [['SET', 'part', 'v']] : [])].map(([name, ...args]) => [name.toUpperCase(), ...args]);
        const { commands: count, parts, rooms, size } = open.take();
        const found = sent(parts);
        expect([found.words, found.commands, parts.reduce((sum, part) => sum + part.length, 0)]).toEqual([expected, count, size]);
        joined += expected.length - count;
        flying.push({ parts, rooms, were: Buffer.concat(parts).toString('latin1') });
        if (flying.length > 2) {
          for (const one of flying) expect(Buffer.concat(one.parts).toString('latin1') === one.were).toBe(true);
          open.giveBack(flying.shift()?.rooms ?? []);
        }
      }
      expect([open.commands, open.size]).toEqual([0, 0]);
    }),
    { numRuns: 500 },
  );
  expect(joined > 0).toBe(joins);
});

test.each([
  ['as many as there are, from four on', 3, 3],
  ['as many as there are, from four on', 4, 1],
  ['of a thousand keys at most', 2001, 3],
])('an MSET is of %s: %i SETs are %i commands', (_, count, expected) => {
  const open = new Outgoing();
  open.joinSets();
  const bytes = Buffer.concat(Array.from({ length: count }, (_, i) => encodeCommand(['SET', `k${i}`, 'v'])));
  let at = 0;
  for (let i = 0; i < count; i++) open.add(bytes, at, (at += encodeCommand(['SET', `k${i}`, 'v']).length));
  expect(open.take().commands).toBe(expected);
});

test.each([true, false])('memory is used again only when what was in it is answered, with SETs joined: %s', (joins) => {
  const open = new Outgoing();
  if (joins) open.joinSets();
  const memory = new Set<ArrayBufferLike>();
  const flying: { parts: Uint8Array[]; rooms: readonly Uint8Array[]; were: Buffer }[] = [];
  for (let batch = 0; batch < 60; batch++) {
    for (let i = 0; i < 9; i++) {
      const words = joins ? ['SET', `${batch}.${i}`, `${batch}`.repeat(30)] : ['APPEND', `${batch}.${i}`, `${batch % 10}`.repeat(3000)];
      const bytes = encodeCommand(words);
      const all = joins ? Buffer.concat(Array.from({ length: 40 }, () => bytes)) : bytes;
      for (let at = 0; at < all.length; at += bytes.length) open.add(all, at, at + bytes.length);
    }
    const { parts, rooms } = open.take();
    for (const part of parts) memory.add(part.buffer);
    flying.push({ parts, rooms, were: Buffer.concat(parts) });
    for (const one of flying) expect(one.were.equals(Buffer.concat(one.parts))).toBe(true);
    if (flying.length > 10) open.giveBack(flying.shift()?.rooms ?? []);
  }
  expect(memory.size).toBeLessThan(8);
});
