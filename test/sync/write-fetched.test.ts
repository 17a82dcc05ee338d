import { describe, expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { payloadFrame } from '../../src/rdb/payload-frame.js';
import { encodePayload, parsePayload, PAYLOAD_FOOTER } from '../../src/rdb/payload.js';
import { RECORD } from '../../src/rdb/frame.js';
import { commandArgs, commandEnd } from '../../src/redis/commands.js';
import type { Fetched } from '../../src/sync/source/fetcher.js';
import { FetchedWriter, type FetchedWriterOptions } from '../../src/sync/source/write-fetched.js';
import { PayloadAside } from '../../src/sync/source/put-aside.js';
import { compileFilter } from '../../src/values/filters.js';
import { parseTarget } from '../../src/values/targets.js';
import { ValueBuilder } from '../../src/values/js-values.js';
import { StringTexts } from '../../src/values/value-texts.js';
import { be, bytes, le, len, listpack, str } from '../support/support.js';

const KEY = new Uint8Array([0xff, 0, 0x0d, 0x0a]);
const AT = 4102444800000;
const SHIFT = 2 ** 45;

const fetched = (payload: Uint8Array | undefined, expireAt = -1): Fetched => ({ payload, large: undefined, expireAt, offset: 1, id: 'id' });

const writerFor = (target: string, options: Partial<FetchedWriterOptions> = {}): FetchedWriter =>
  new FetchedWriter({ codec: TS_CODEC, target: parseTarget(target), sharded: false, ...options });

/** The commands in latin-1, without the payloads; and these. */
function commandsOf(written: ReturnType<FetchedWriter['write']>): { commands: string[]; payload: Uint8Array } {
  if (!('pieces' in written)) throw new Error(JSON.stringify(written));
  const all = Uint8Array.from(Buffer.concat(written.pieces));
  const commands: string[] = [];
  let payload: Uint8Array = new Uint8Array(0);
  for (let at = 0; at < all.length; at = commandEnd(all, at)) {
    const args = commandArgs(all, at);
    const isRestore = Buffer.from(args[0]).toString() === 'RESTORE';
    if (isRestore) payload = args[3];
    commands.push(
      args
        .map((arg, i) =>
          isRestore && i === 3 ? '…' : arg.length === KEY.length && arg[0] === 0xff ? 'KEY' : Buffer.from(arg).toString('latin1'),
        )
        .join(' '),
    );
  }
  expect(written).toHaveProperty('commands', commands.length);
  return { commands, payload };
}

function valueOf(payload: Uint8Array): unknown {
  const parsed = parsePayload(payload);
  expect(parsed.checksum).toBe('ok');
  const builder = new ValueBuilder(new StringTexts());
  builder.frame(RECORD, payloadFrame(payload, parsed));
  return builder.built;
}

const STRING = encodePayload(0, bytes(str('value')), 10);

test('a key that is gone is deleted', () => {
  expect(commandsOf(writerFor('7.0').write(KEY, fetched(undefined), SHIFT, 0)).commands).toEqual(['DEL KEY']);
});

test('a payload goes as it is where the target takes it, else with another footer', () => {
  const same = commandsOf(writerFor('7.0').write(KEY, fetched(STRING), 0, 0));
  expect(same.commands).toEqual(['RESTORE KEY 0 … REPLACE']);
  expect(same.payload).toEqual(STRING);
  const older = commandsOf(writerFor('6.0').write(KEY, fetched(STRING), 0, 0));
  expect(older.payload).not.toEqual(STRING);
  expect(valueOf(older.payload)).toBe('value');
});

test('an expiry is shifted, and none is none', () => {
  const expiring = fetched(STRING, AT);
  expect(commandsOf(writerFor('7.0').write(KEY, expiring, 0, 5)).commands).toEqual([`RESTORE KEY ${AT} … REPLACE ABSTTL`]);
  expect(commandsOf(writerFor('7.0').write(KEY, expiring, SHIFT, 5)).commands).toEqual([`RESTORE KEY ${AT + SHIFT} … REPLACE ABSTTL`]);
  expect(commandsOf(writerFor('7.0').write(KEY, fetched(STRING), SHIFT, 5)).commands).toEqual(['RESTORE KEY 0 … REPLACE']);
  expect(commandsOf(writerFor('4.0').write(KEY, expiring, 0, AT - 5)).commands).toEqual(['RESTORE KEY 5 … REPLACE']);
  expect(commandsOf(writerFor('2.8').write(KEY, expiring, 0, AT - 5)).commands).toEqual(['DEL KEY', 'RESTORE KEY 5 …']);
});

/** Fields a (expires at AT + 7), b (does not), in each form that has expiries. */
const HASHES = {
  '24 8.0': encodePayload(24, bytes(le(AT + 7, 8), len(2), len(1), str('a'), str('1'), len(0), str('b'), str('2')), 12),
  '25 8.0': encodePayload(25, bytes(le(AT + 7, 8), str(listpack(['a', '1', BigInt(AT + 7), 'b', '2', 0n]))), 12),
  '22 valkey-9.0': encodePayload(22, bytes(len(2), str('a'), str('1'), le(AT + 7, 8), str('b'), str('2'), le(-1n, 8)), 80),
};

test.each(Object.entries(HASHES))('the expiries of fields are shifted: type %s', (name, payload) => {
  const target = name.split(' ')[1];
  const plain = commandsOf(writerFor(target).write(KEY, fetched(payload), 0, 0));
  expect(plain.payload).toEqual(payload);
  const shifted = commandsOf(writerFor(target).write(KEY, fetched(payload), SHIFT, 0));
  const back = commandsOf(writerFor(target).write(KEY, fetched(shifted.payload), -SHIFT, 0));
  expect(valueOf(back.payload)).toEqual(valueOf(payload));
  expect(JSON.stringify(valueOf(shifted.payload))).toBe(JSON.stringify(valueOf(payload)).replace(`${AT + 7}`, `${AT + 7 + SHIFT}`));
  expect(shifted.payload).not.toEqual(payload);
});

test('an expiry of a field that Redis would not take becomes the latest that it does', () => {
  const late = encodePayload(22, bytes(len(1), str('a'), str('1'), le(253402300799000, 8)), 80);
  const { payload } = commandsOf(writerFor('8.0').write(KEY, fetched(late), SHIFT, 0));
  expect(valueOf(payload)).toEqual([{ field: 'a', value: '1', expireAt: 2 ** 46 - 1 }]);
});

test('what the target cannot hold is refused, or lost if that is allowed', () => {
  const payload = HASHES['25 8.0'];
  for (const shift of [0, SHIFT]) {
    expect(writerFor('7.0').write(KEY, fetched(payload), shift, 0)).toEqual({
      outcome: 'refused',
      reason: 'Redis 7.0 has no expiry of single hash fields: 1 of 2 have one',
      avoidable: true,
    });
    const lossy = writerFor('7.0', { allowLoss: true }).write(KEY, fetched(payload), shift, 0);
    expect(lossy).toMatchObject({ outcome: 'lossy', leftOut: ['expiry of single hash fields'] });
    expect(valueOf(commandsOf(lossy).payload)).toEqual([
      { field: 'a', value: '1' },
      { field: 'b', value: '2' },
    ]);
  }
});

test('a payload over the limit becomes commands, under another name', () => {
  const writer = writerFor('7.0', { maxPayload: 10, sharded: true, suffix: ':1' });
  const { commands } = commandsOf(writer.write(KEY, fetched(STRING, AT), SHIFT, 0));
  const name = commands[0].slice(4);
  expect(name).toMatch(/^rdbkit:\{\d+\}:restoring:sync:1$/);
  expect(commands).toEqual([`DEL ${name}`, `SET ${name} value`, `PEXPIREAT ${name} ${AT + SHIFT}`, `RENAME ${name} KEY`]);
  const module = encodePayload(7, bytes(0x81, be(1n << 10n, 8), 0), 10);
  expect(writer.write(KEY, fetched(module), 0, 0)).toMatchObject({
    outcome: 'refused',
    reason: expect.stringContaining('no commands make') as string,
  });
});

describe('a payload that was put aside', () => {
  const large = (payload: Uint8Array, expireAt = -1): Fetched => {
    const aside = new PayloadAside(payload.length);
    for (let at = 0; at < payload.length; at += 7) aside.add(payload, at, Math.min(at + 7, payload.length));
    return { ...fetched(undefined, expireAt), large: aside.finish() };
  };
  /** The value as one that is held would have been written. */
  const payloadOf = (written: ReturnType<FetchedWriter['write']>): Uint8Array => {
    if (!('value' in written)) throw new Error(JSON.stringify(written));
    const { frame, sentVersion, value } = written;
    expect([Buffer.from(frame.keyBytes), frame.hasExpire ? Number(frame.expireMs) : -1]).toEqual([Buffer.from(KEY), AT + SHIFT]);
    const payload = encodePayload(frame.type.id, Buffer.concat([...value.read()].map((piece) => piece.slice())), sentVersion);
    value.close();
    return payload;
  };

  test('is written as one that is held', () => {
    const hash = (...pairs: string[]): Uint8Array => encodePayload(16, bytes(str(listpack(pairs))), 11);
    const expiring = encodePayload(24, bytes(le(AT, 8), len(2), len(1), str('a'), str('1'), len(0), str('b'), str('2')), 12);
    for (const payload of [STRING, hash('a', '1', 'b', '2'), expiring]) {
      for (const target of ['8.0', 'valkey-9.0', '7.0', '6.2']) {
        const writer = writerFor(target, { allowLoss: true });
        const held = commandsOf(writer.write(KEY, fetched(payload, AT), SHIFT, 0)).payload;
        const written = payloadOf(writer.write(KEY, large(payload, AT), SHIFT, 0));
        expect(written.subarray(0, -PAYLOAD_FOOTER)).toEqual(held.subarray(0, -PAYLOAD_FOOTER));
      }
    }
  });

  test('is refused where the target cannot hold it, or it is damaged, and deleted where the filter leaves it out', () => {
    const expiring = encodePayload(24, bytes(le(AT, 8), len(1), len(1), str('a'), str('1')), 12);
    expect(writerFor('7.0').write(KEY, large(expiring), SHIFT, 0)).toMatchObject({ outcome: 'refused', avoidable: true });
    expect(() =>
      payloadOf(writerFor('6.0').write(KEY, large(encodePayload(16, bytes(str(listpack(['a', '1', 'b']))), 11), AT), SHIFT, 0)),
    ).toThrow('damaged');
    expect(() => large(encodePayload(99, bytes(str('x')), 10))).toThrow();
    const filter = compileFilter({ type: ['list'] });
    expect(commandsOf(writerFor('7.0', { filter }).write(KEY, large(STRING), 0, 0)).commands).toEqual(['DEL KEY']);
  });
});

test('damage is refused', () => {
  expect(writerFor('6.0').write(KEY, fetched(encodePayload(99, bytes(str('x')), 10)), 0, 0)).toMatchObject({
    outcome: 'refused',
    reason: expect.stringMatching(/^its value is damaged: /) as string,
  });
});
