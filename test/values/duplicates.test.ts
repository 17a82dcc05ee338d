import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Duplicates } from '../../src/values/duplicates.js';

test('each that comes twice is found once, in memory and in temporary files', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 600 }), fc.integer({ min: 1, max: 50 }), (members, most) => {
      const duplicates = new Duplicates(most);
      const again: number[] = [];
      duplicates.begin();
      members.forEach((member, index) => {
        const text = Buffer.from(`member ${member}`);
        if (!duplicates.isNew(text, 0, text.length, index)) again.push(index);
      });
      duplicates.end((index) => again.push(index));
      expect(again.sort((a, b) => a - b)).toEqual(members.flatMap((member, index) => (members.indexOf(member) < index ? [index] : [])));
    }),
    { numRuns: 30 },
  );
});
