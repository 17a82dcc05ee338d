import { expect, test } from 'vitest';
import { encodeCommand } from '../../src/redis/commands.js';
import { ChangeBatch } from '../../src/sync/target/change-batch.js';

/** The arguments of a refused command are kept for long, and its bytes are not. */
test.each([
  ['a Buffer', (bytes: Uint8Array) => Buffer.from(bytes)],
  ['a Uint8Array', (bytes: Uint8Array) => Uint8Array.from(bytes)],
])('arguments of a command are copies, also from %s', (_, made) => {
  const parts = [made(encodeCommand(['SELECT', '3'])), made(encodeCommand(['INCR', 'key']))];
  const { args, db } = new ChangeBatch(parts, 2, 0, () => undefined).commandAt(1);
  for (const part of parts) part.fill(0);
  expect([args.map((arg) => Buffer.from(arg).toString()), db]).toEqual([['INCR', 'key'], 3]);
});
