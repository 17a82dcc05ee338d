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
