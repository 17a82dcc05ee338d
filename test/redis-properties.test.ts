import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { CommandBatch, type KeyListener } from '../src/restore/command-batch.js';
import { commandArgs, commandEnd, commandsOf, encodeCommand } from '../src/redis/commands.js';
import { restoredBy, withElapsed } from '../src/restore/key-commands.js';
import { ServerIdentity } from '../src/restore/server-identity.js';
import { redirection, refusalOf } from '../src/redis/refusals.js';
import { ERROR, INTEGER, NO_REPLY, OK, ReplyReader } from '../src/redis/replies.js';
import { addressText, parseAddress, parseServerUrl } from '../src/redis/url.js';

const word = fc.stringMatching(/^[A-Z]{1,8}( [ -~]{0,20})?$/);
const leaf = fc.oneof(
  fc.constant('+OK\r\n'),
  word.map((text) => `+${text}\r\n`),
  word.map((text) => `-${text}\r\n`),
  fc.maxSafeInteger().map((number) => `:${number}\r\n`),
  fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n'),
  fc.string().map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`),
);
const { reply } = fc.letrec<{ reply: string; array: string }>((tie) => ({
  reply: fc.oneof({ maxDepth: 3 }, leaf, tie('array')),
  array: fc.array(tie('reply'), { maxLength: 4 }).map((items) => `*${items.length}\r\n${items.join('')}`),
}));

/** What the reader says, with runs of OK as single ones. */
function read(chunks: readonly Uint8Array[]): string[] {
  const reader = new ReplyReader();
  const found: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk.slice());
    for (let kind = reader.next(); kind !== NO_REPLY; kind = reader.next()) {
      if (kind === OK) found.push(...Array.from({ length: reader.count }, () => 'OK'));
      else found.push(kind === ERROR ? `-${reader.text}` : kind === INTEGER ? `:${reader.integer}` : 'other');
    }
  }
  return found;
}

function said(text: string): string {
  if (text === '+OK\r\n') return 'OK';
  return text.startsWith('-') || text.startsWith(':') ? text.slice(0, -2) : 'other';
}

const bytes = fc.uint8Array({ maxLength: 40 });
const args = fc.array(bytes, { minLength: 1, maxLength: 6 });
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test('replies are the same in any chunks', () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (replies, sizes) => {
      const whole = Buffer.from(replies.join(''));
      const chunks: Uint8Array[] = [];
      for (let at = 0, i = 0; at < whole.length; at += sizes[i++ % sizes.length]) chunks.push(whole.subarray(at, at + sizes[i % sizes.length]));
      expect(read([whole])).toEqual(replies.map(said));
      expect(read(chunks)).toEqual(replies.map(said));
    }),
  );
});

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

  test('a key says what it restores, and what is left of its expiry', () => {
    const ttl = fc.bigInt({ min: 0n, max: 2n ** 46n });
    fc.assert(
      fc.property(bytes, ttl, bytes, fc.subarray(['REPLACE', 'ABSTTL']), fc.nat({ max: 1e6 }), fc.boolean(), (key, ms, payload, modifiers, elapsed, exists) => {
        const unit = Buffer.concat([...(exists ? [encodeCommand(['EXISTS', key])] : []), encodeCommand(['RESTORE', key, `${ms}`, payload, ...modifiers])]);
        const restored = restoredBy(key);
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

test.each([
  ['BUSYKEY Target key name already exists.', 'there'],
  ['MOVED 3999 127.0.0.1:6381', 'moved'],
  ['ASK 3999 127.0.0.1:6381', 'ask'],
  ["READONLY You can't write against a read only replica.", 'stale'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'later'],
  ['CLUSTERDOWN Hash slot not served', 'later'],
  ['LOADING Redis is loading the dataset in memory', 'later'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'stop'],
  ["NOPERM this user has no permissions to run the 'restore' command", 'stop'],
  ["ERR unknown command 'RESTORE'", 'stop'],
  ['ERR Bad data format', 'refused'],
  ['ERR DUMP payload version or checksum are wrong', 'refused'],
  ['constructor', 'refused'],
])('%s is dealt with as: %s', (error, refusal) => {
  expect(refusalOf(error)).toBe(refusal);
});

test('redirections name a node', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constant(''));
  fc.assert(
    fc.property(fc.constantFrom('MOVED', 'ASK'), fc.nat({ max: 16383 }), host, fc.integer({ min: 1, max: 65535 }), (kind, slot, name, port) => {
      expect(redirection(`${kind} ${slot} ${name}:${port}`)).toEqual({ slot, host: name, port });
    }),
  );
});

test('URLs of servers say what they were made of', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const login = fc.string({ minLength: 1, unit: 'grapheme' });
  fc.assert(
    fc.property(fc.constantFrom('redis', 'rediss', 'valkey', 'valkeys'), fc.option(login), fc.option(login), host, port, fc.option(fc.nat({ max: 2 ** 31 - 1 })), (scheme, user, password, name, number, db) => {
      const access = user === null && password === null ? '' : `${encodeURIComponent(user ?? '')}${password === null ? '' : `:${encodeURIComponent(password)}`}@`;
      const url = parseServerUrl(`${scheme}://${access}${addressText({ host: name, port: number })}${db === null ? '' : `/${db}`}`);
      expect(url).toEqual({ addresses: [{ host: name, port: number }], sentinelMaster: undefined, tls: scheme.endsWith('s') && scheme !== 'redis', username: user ?? undefined, password: password ?? undefined, db: db ?? undefined });
      expect(parseAddress(addressText({ host: name, port: number }))).toEqual({ host: name, port: number });
    }),
  );
});

describe('identity of a server', () => {
  const hour = 3_600_000;

  test('of the same process goes on', () => {
    const identity = new ServerIdentity('a');
    expect(identity.met({ runId: 'one', startedAt: Date.now() - hour })).toBe(false);
    identity.bare = true;
    expect(identity.met({ runId: 'one', startedAt: Date.now() - hour })).toBe(false);
    expect(identity.met({ runId: '', startedAt: 0 })).toBe(false);
  });

  test('of a process that was started since is lost', () => {
    const identity = new ServerIdentity('a');
    identity.met({ runId: 'one', startedAt: Date.now() - hour });
    expect(identity.met({ runId: 'two', startedAt: Date.now() + 1 })).toBe(true);
    expect(identity.met({ runId: 'two', startedAt: Date.now() + 1 })).toBe(false);
  });

  test('goes to a replica that was up all the while, where it confirmed everything', () => {
    const confirmed = new ServerIdentity('a');
    confirmed.met({ runId: 'one', startedAt: Date.now() - hour });
    expect(confirmed.met({ runId: 'two', startedAt: Date.now() - hour })).toBe(false);
    const bare = ServerIdentity.from({ name: 'a', runId: 'one', since: Date.now(), bare: true });
    expect(bare.met({ runId: 'two', startedAt: Date.now() - hour })).toBe(true);
    expect(ServerIdentity.from({ name: 'a', runId: 'one', since: 1, bare: true }).passed()).toBe(true);
  });
});
