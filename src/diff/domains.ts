import { randomInt } from 'node:crypto';
import { Murmur3, type Words128 } from '../bytes/murmur3.js';
import { DOMAIN_COUNT } from '../kernels/layout.js';

/** What both sides of a comparison must share: a digest says nothing about one with another seed. */
export type Seed = Readonly<Words128>;

/** Another one for each run: records that collide by chance do not collide again. */
export function randomSeed(): Seed {
  const word = (): number => randomInt(2 ** 32);
  return [word(), word(), word(), word()];
}

/** The states that hashes begin with, four words for each DOMAIN_… of kernels/layout.ts: equal bytes in two domains differ. */
export function domainStates(seed: Seed, states: Int32Array): void {
  const murmur = new Murmur3();
  for (let domain = 0; domain < DOMAIN_COUNT; domain++) {
    murmur.begin(...seed).add(Uint8Array.of(domain), 0, 1).end(states, 4 * domain);
  }
}
