import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { CommandBatch, type KeyListener } from '../../src/restore/command-batch.js';
import { encodeCommand } from '../../src/redis/commands.js';

const bytes = fc.uint8Array({ maxLength: 40 });
const args = fc.array(bytes, { minLength: 1, maxLength: 6 });
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test('keys of a batch, in any order, are its commands', () => {
  const nobody = {} as KeyListener;
  fc.assert(
    fc.property(fc.array(args, { minLength: 1, maxLength: 10 }), fc.constantFrom(1, 2), fc.array(fc.nat()), (keys, perKey, order) => {
      const made = keys.map((key) => Buffer.concat(Array.from({ length: perKey }, () => encodeCommand(key))));
      const batch = new CommandBatch(nobody, Buffer.concat(made), 0, perKey);
      batch.keys = keys.length;
      for (const number of order) expect(equal(batch.commandsAt(number % keys.length), made[number % keys.length])).toBe(true);
    }),
  );
});

test('replies of a batch: what was there, what failed, what is delivered', () => {
  const outcome = fc.record({ there: fc.boolean(), error: fc.boolean() });
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 1, maxLength: 30 }), (outcomes) => {
      const delivered = vi.fn();
      const batch = new CommandBatch({ delivered } as unknown as KeyListener, new Uint8Array(0), 0, 2);
      batch.keys = outcomes.length;
      outcomes.forEach(({ error, there }, key) => {
        expect(batch.takeOne(undefined, there ? 1 : 0)).toBe(false);
        expect(batch.takeOne(error ? 'ERR no' : undefined, undefined)).toBe(true);
        expect(batch.takeErrors()?.[1]).toBe(error ? 'ERR no' : undefined);
        if (error) batch.setApart(key);
        expect(batch.wasThere(key)).toBe(there);
      });
      const good = outcomes.filter(({ error }) => !error);
      expect(batch.complete).toBe(true);
      batch.deliver('node');
      expect(delivered.mock.calls).toEqual(good.length === 0 ? [] : [[batch, 'node', good.length, good.filter(({ there }) => there).length, 0]]);
    }),
  );
});
