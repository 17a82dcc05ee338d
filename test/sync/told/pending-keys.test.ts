import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedHash } from '../../../src/bytes/keyed-hash.js';
import { ANY_DB, PendingKeys } from '../../../src/sync/told/pending-keys.js';

const idOf = (db: number, key: Uint8Array): string => `${db} ${Buffer.from(key).toString('latin1')}`;

test('each key once, by name as long as there is room, else by digest', () => {
  const keys = fc.array(fc.tuple(fc.integer({ min: ANY_DB, max: 3 }), fc.uint8Array({ maxLength: 6 })), { maxLength: 200 });
  fc.assert(
    fc.property(keys, fc.integer({ min: 0, max: 800 }), (all, most) => {
      const pending = new PendingKeys(new KeyedHash(), most);
      for (const [db, key] of [...all, ...all]) pending.add(db, key);
      const wanted = new Set(all.map(([db, key]) => idOf(db, key)));
      expect(pending.size).toBe(wanted.size);
      const named = [...pending.all()].map(({ db, key }) => idOf(db, key));
      expect(named.length + pending.digests).toBe(wanted.size);
      for (const [db, key] of all) expect(named.includes(idOf(db, key)) !== pending.hasDigest(db, key)).toBe(true);
      for (const name of named) expect(wanted.has(name)).toBe(true);
    }),
  );
});

test('memory: 32 MiB, and 16 bytes for each key beyond', () => {
  const pending = new PendingKeys();
  const before = process.memoryUsage().arrayBuffers;
  const count = 3_000_000;
  const key = Buffer.alloc(40, 'key:');
  for (let i = 0; i < count; i++) {
    key.writeUInt32LE(i, 30);
    pending.add(0, key);
  }
  expect(pending.size).toBe(count);
  const most = (32 << 20) + 16 * pending.digests;
  expect(pending.bytes).toBeLessThan(most);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(most * 1.5); // garbage of the growing
  expect(pending.digests).toBeGreaterThan(2_500_000);
});
