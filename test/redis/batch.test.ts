import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { Batch, type Delivery } from '../../src/redis/batch.js';
import { encodeCommand } from '../../src/redis/commands.js';

const bytes = fc.uint8Array({ maxLength: 40 });
const args = fc.array(bytes, { minLength: 1, maxLength: 6 });
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test('units of a batch, in any order, are its commands', () => {
  const nobody = {} as Delivery;
  fc.assert(
    fc.property(fc.array(args, { minLength: 1, maxLength: 10 }), fc.constantFrom(1, 2), fc.array(fc.nat()), (units, perUnit, order) => {
      const made = units.map((unit) => Buffer.concat(Array.from({ length: perUnit }, () => encodeCommand(unit))));
      const batch = new Batch(nobody, Buffer.concat(made), 0, perUnit);
      batch.units = units.length;
      for (const number of order) expect(equal(batch.unit(number % units.length), made[number % units.length])).toBe(true);
    }),
  );
});

test('replies of a batch: what was there, what failed, what is delivered', () => {
  const outcome = fc.record({ there: fc.boolean(), error: fc.boolean() });
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 1, maxLength: 30 }), (outcomes) => {
      const delivered = vi.fn();
      const batch = new Batch({ delivered } as unknown as Delivery, new Uint8Array(0), 0, 2);
      batch.units = outcomes.length;
      outcomes.forEach(({ error, there }, unit) => {
        expect(batch.takeOne(undefined, there ? 1 : 0)).toBe(false);
        expect(batch.takeOne(error ? 'ERR no' : undefined, undefined)).toBe(true);
        expect(batch.takeErrors()?.[1]).toBe(error ? 'ERR no' : undefined);
        if (error) batch.setApart(unit);
        expect(batch.wasThere(unit)).toBe(there);
      });
      const good = outcomes.filter(({ error }) => !error);
      expect(batch.complete).toBe(true);
      batch.deliver('node');
      expect(delivered.mock.calls).toEqual(good.length === 0 ? [] : [[batch, 'node', good.length, good.filter(({ there }) => there).length, 0]]);
    }),
  );
});
