import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandsOf, encodeCommand } from '../../src/redis/commands.js';
import { restoredBy, withElapsed } from '../../src/restore/key-commands.js';

const bytes = fc.uint8Array({ maxLength: 40 });
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test('the commands of a key say what they restore, and what is left of its expiry', () => {
  const ttl = fc.bigInt({ min: 0n, max: 2n ** 46n });
  fc.assert(
    fc.property(bytes, ttl, bytes, fc.subarray(['REPLACE', 'ABSTTL']), fc.nat({ max: 1e6 }), fc.boolean(), (key, ms, payload, modifiers, elapsed, exists) => {
      const commands = Buffer.concat([...(exists ? [encodeCommand(['EXISTS', key])] : []), encodeCommand(['RESTORE', key, `${ms}`, payload, ...modifiers])]);
      const restored = restoredBy(commands);
      expect(equal(restored.key, key) && equal(restored.payload, payload)).toBe(true);
      expect(restored).toMatchObject({ ttl: ms, modifiers });
      const later = restoredBy(withElapsed(commands, elapsed));
      expect(later.ttl).toBe(ms === 0n ? 0n : ms > BigInt(elapsed) ? ms - BigInt(elapsed) : 1n);
      expect(equal(later.key, key) && equal(later.payload, payload)).toBe(true);
      expect([...commandsOf(withElapsed(commands, elapsed))]).toHaveLength(exists ? 2 : 1);
    }),
  );
});
