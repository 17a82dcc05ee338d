import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commandArgs, commandEnd, commandsOf, encodeCommand, restoredBy, withElapsed } from '../../src/redis/commands.js';

const bytes = fc.uint8Array({ maxLength: 40 });
const args = fc.array(bytes, { minLength: 1, maxLength: 6 });
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

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

  test('a unit says what it restores, and what is left of its expiry', () => {
    const ttl = fc.bigInt({ min: 0n, max: 2n ** 46n });
    fc.assert(
      fc.property(bytes, ttl, bytes, fc.subarray(['REPLACE', 'ABSTTL']), fc.nat({ max: 1e6 }), fc.boolean(), (key, ms, payload, modifiers, elapsed, exists) => {
        const unit = Buffer.concat([...(exists ? [encodeCommand(['EXISTS', key])] : []), encodeCommand(['RESTORE', key, `${ms}`, payload, ...modifiers])]);
        const restored = restoredBy(unit);
        expect(equal(restored.key, key) && equal(restored.payload, payload)).toBe(true);
        expect(restored).toMatchObject({ ttl: ms, modifiers });
        const later = restoredBy(withElapsed(unit, elapsed));
        expect(later.ttl).toBe(ms === 0n ? 0n : ms > BigInt(elapsed) ? ms - BigInt(elapsed) : 1n);
        expect(equal(later.key, key) && equal(later.payload, payload)).toBe(true);
        expect([...commandsOf(withElapsed(unit, elapsed))]).toHaveLength(exists ? 2 : 1);
      }),
    );
  });
});
