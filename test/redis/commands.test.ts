import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commandArgs, commandEnd, commandsOf, encodeCommand } from '../../src/redis/commands.js';

const bytes = fc.uint8Array({ maxLength: 40 });
const args = fc.array(bytes, { minLength: 1, maxLength: 6 });

describe('commands', () => {
  test('are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(args, { minLength: 1, maxLength: 5 }), (commands) => {
        const all = Buffer.concat(commands.map((command) => encodeCommand(command)));
        const found = [...commandsOf(all)];
        expect(found.map((command) => commandArgs(command, 0).map((arg) => Buffer.from(arg).toString('hex')))).toEqual(commands.map((command) => command.map((arg) => Buffer.from(arg).toString('hex'))));
        expect(found.reduce((at, command) => at + command.length, 0)).toBe(all.length);
        expect(commandEnd(all, 0)).toBe(found[0].length);
      }),
    );
  });
});
