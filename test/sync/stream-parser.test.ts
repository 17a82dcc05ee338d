import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCommand } from '../../src/redis/commands.js';
import { argsOf } from '../../src/sync/commands/args.js';
import { StreamParser } from '../../src/sync/stream-parser.js';

const args = fc.array(fc.uint8Array({ maxLength: 150 }), { minLength: 1, maxLength: 6 });
const lengths = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 });

test('commands are found wherever the stream is cut, in pieces that are neighbours in memory or not', () => {
  fc.assert(
    fc.property(fc.array(args, { maxLength: 20 }), lengths, fc.infiniteStream(fc.boolean()), (commands, cuts, apart) => {
      const stream = new Uint8Array(Buffer.concat(commands.map((command) => encodeCommand(command))));
      const parser = new StreamParser(100);
      const found: Uint8Array[][] = [];
      const kept: Uint8Array[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const end = Math.min(stream.length, at + cuts[i % cuts.length]);
        const piece = stream.subarray(at, end);
        parser.push(apart.next().value === true ? piece.slice() : piece);
        at = end;
        for (let command = parser.next(); command !== undefined; command = parser.next()) {
          found.push(argsOf(command).map((arg) => arg.slice()));
          kept.push(command.bytes.subarray(command.start, command.end));
        }
      }
      expect(found).toEqual(commands);
      expect(kept.map((bytes) => bytes.slice())).toEqual(commands.map((command) => new Uint8Array(encodeCommand(command)))); // they stay
      expect(parser.offset).toBe(100 + stream.length);
    }),
    { numRuns: 500 },
  );
});

test('of large commands, the first arguments are kept, and offsets count all bytes', () => {
  fc.assert(
    fc.property(fc.array(args, { maxLength: 20 }), lengths, fc.integer({ min: 1, max: 3 }), (commands, cuts, most) => {
      const stream = new Uint8Array(Buffer.concat(commands.map((command) => encodeCommand(command))));
      const parser = new StreamParser(100, ({ args: all }) => Math.min(most, all), 120);
      const found: { args: number; kept: Uint8Array[]; end: number }[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const end = Math.min(stream.length, at + cuts[i % cuts.length]);
        parser.push(stream.slice(at, end));
        at = end;
        for (let command = parser.next(); command !== undefined; command = parser.next()) {
          const { args: all, kept, offset, size } = command;
          if (kept < all) expect([kept, size > 120]).toEqual([most, true]);
          found.push({ args: all, kept: argsOf(command).map((arg) => arg.slice()), end: offset });
          expect(size).toBe(encodeCommand(commands[found.length - 1]).length);
        }
      }
      let end = 100;
      const expected = commands.map((command, i) => {
        end += encodeCommand(command).length;
        return { args: command.length, kept: command.slice(0, found[i].kept.length), end };
      });
      expect(found).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test('a large command is not held, but for its key', () => {
  const parser = new StreamParser(0, () => 2, 1000);
  parser.push(Buffer.from('*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000000\r\n'));
  expect(parser.next()).toBeUndefined();
  const piece = Buffer.alloc(100_000);
  for (let i = 0; i < 10; i++) {
    parser.push(piece);
    expect(parser.next()).toBeUndefined();
  }
  parser.push(Buffer.from('\r'));
  expect(parser.next()).toBeUndefined();
  parser.push(Buffer.from('\n*1\r\n$4\r\nPING\r\n'));
  const command = parser.next();
  expect(command).toMatchObject({ args: 3, kept: 2, size: 1_000_034, offset: 1_000_034 });
  expect(command?.bytes.length).toBeLessThan(100);
  expect(parser.next()).toMatchObject({ args: 1, kept: 1, offset: 1_000_048 });
});

test('a large command without the end of an argument is no RESP', () => {
  const parser = new StreamParser(0, () => 2, 10);
  parser.push(Buffer.from('*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$20\r\n'));
  parser.next();
  parser.push(Buffer.alloc(22));
  expect(() => parser.next()).toThrow(/at offset 47: expected the end of an argument/);
});
