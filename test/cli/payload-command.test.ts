import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { aborted, Folder, rdbkit, type Result } from '../support/cli-support.js';
import { SERVERS } from '../support/dump-support.js';
import { bytes, le, len, listpack, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const stdinOf = (...chunks: (Uint8Array | string)[]): Readable =>
  Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  );
const piped = (argv: string[], ...chunks: (Uint8Array | string)[]): Promise<Result> =>
  rdbkit(['payload', ...argv], { stdin: stdinOf(...chunks) });
const given = (...argv: string[]): Promise<Result> => rdbkit(['payload', ...argv]);
const base64 = (payload: Uint8Array): string => Buffer.from(payload).toString('base64');

/** What Redis documents for DUMP of 10. */
const TEN = String.raw`"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb"`;
const ten = encodePayload(0, bytes(0xc0, 10), 10);
const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/servers/${name}.rdb`, import.meta.url));

describe('a payload is found in', () => {
  test.each([
    ['quoted', TEN],
    ['quoted', TEN.slice(1, -1)],
    ['hex', Buffer.from(ten).toString('hex')],
    ['base64', base64(ten)],
  ])('%s: %s', async (form, text) => {
    for (const result of [
      await given('check', '--json', text),
      await piped(['check', '--json'], `${text}\n`),
      await given('check', '--json', '--from', form, text),
    ]) {
      expect(JSON.parse(result.out)).toMatchObject({
        valid: true,
        form,
        size: 13,
        type: 'string',
        encoding: 'STRING',
        encodingId: 0,
        version: 10,
        checksum: 'ok',
      });
      expect([result.code, result.err]).toEqual([0, '']);
    }
    expect(await given('decode', text)).toEqual({ code: 0, out: '{"type":"string","value":"10"}\n', err: '' });
  });

  test('raw bytes, in any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 40 }), async (value, size) => {
        const payload = encodePayload(0, str(value), 11);
        const chunks = Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => payload.slice(i * size, (i + 1) * size));
        expect(JSON.parse((await piped(['check', '--json'], ...chunks)).out)).toMatchObject({ valid: true, form: 'raw', newline: false });
        const line = (await piped(['check', '--json', '-'], ...chunks, '\n')).out;
        expect(JSON.parse(line)).toMatchObject({ valid: true, form: 'raw', newline: true, size: payload.length });
      }),
      { numRuns: 30 },
    );
  });

  test('raw bytes with a newline that is theirs', async () => {
    let value = 0;
    while (encodePayload(0, str(`${value}`), 11).at(-1) !== 10) value++; // the checksum ends with a newline
    const payload = encodePayload(0, str(`${value}`), 11);
    expect(JSON.parse((await piped(['check', '--json'], payload)).out)).toMatchObject({ valid: true, newline: false });
    const { err, out } = await piped(['decode'], payload, '\n');
    expect([out, err]).toEqual([
      `{"type":"string","value":"${value}"}\n`,
      'rdbkit: warning: the newline at the end is not of the payload, as redis-cli writes one.\n',
    ]);
  });

  test('the checksum decides what hex digits are', async () => {
    const hex = Buffer.from(encodePayload(0, str('ab'), 10)).toString('hex');
    expect(JSON.parse((await given('check', '--json', hex)).out)).toMatchObject({ valid: true, form: 'hex' });
    expect(JSON.parse((await given('check', '--json', '--from', 'base64', `${hex}AA`)).out)).toMatchObject({
      valid: false,
      form: 'base64',
    });
  });
});

describe('lines of JSON', () => {
  test.each(SERVERS)('%s: check finds all valid, decode writes what rdbkit decode does', async (name) => {
    const { out: payloads } = await rdbkit(['dump', fixture(name), '--format', 'payload']);
    const { code, out: tally } = await piped(['check'], payloads.slice(0, 70_000), payloads.slice(70_000));
    expect([code, tally]).toEqual([0, `${payloads.split('\n').length - 1} payloads: all valid\n`]);
    const { out } = await piped(['decode'], payloads);
    expect(out === (await rdbkit(['decode', fixture(name)])).out).toBe(true);
  });

  test('damaged ones are named, the others are counted', async () => {
    const line = (key: string, payload: string): string =>
      `{"db":1,"key":${JSON.stringify(key)},"type":"string","expireAt":9223372036854775807,"freq":3,"payload":"${payload}"}\n`;
    const wrong = encodePayload(0, str('b'), 10);
    wrong[2] ^= 1;
    const text = `${line('a', base64(ten))}${line('b\n', base64(wrong))}{"db":1}\n${line('c', 'AAA*')}${line('d', base64(ten)).trimEnd()}`;
    const { code, err, out } = await piped(['check'], text);
    expect([code, err]).toEqual([3, '']);
    const shown = out.split('\n');
    expect(shown[0]).toMatch(
      /^line 2: CHECKSUM: offset 5, db 1, key "b\\n": expected [0-9a-f]{16}, as the payload says, got [0-9a-f]{16} from its bytes\.$/,
    );
    expect(shown[1]).toMatch(/^line 3: BAD_PAYLOAD: expected an object with "payload"/);
    expect(shown[2]).toMatch(/^line 4: BAD_PAYLOAD: db 1, key "c": expected base64, got "\*" in the payload/);
    expect(shown.slice(3)).toEqual(['5 payloads: 2 valid, 3 damaged', '']);
    expect((await piped(['check', '--json'], text)).out.split('\n').map((one) => one.slice(0, 15))).toEqual([
      '{"valid":true,"',
      ...Array<string>(3).fill('{"valid":false,'),
      '{"valid":true,"',
      '',
    ]);
    const decoded = await piped(['decode'], text);
    expect([decoded.code, decoded.out]).toEqual([
      3,
      '{"db":1,"key":"a","type":"string","expireAt":9223372036854775807,"freq":3,"value":"10"}\n',
    ]);
    expect(decoded.err).toMatch(/^rdbkit: CHECKSUM: offset 5, db 1, key "b\\n": .*--no-checksum/);
  });

  test('what a line says of its key is not passed over where it makes no sense', async () => {
    for (const field of [
      '"db":"1"',
      '"db":2147483648',
      '"db":0,"key":5',
      '"freq":256',
      '"idle":-1',
      '"expireAt":1.5',
      '"expireAt":9223372036854775808',
      '"expireAt":null',
    ]) {
      const { code, err, out } = await piped(['decode'], `{${field},"payload":"${base64(ten)}"}`);
      expect([field, code, out]).toEqual([field, 3, '']);
      expect(err).toMatch(/^rdbkit: BAD_PAYLOAD: expected /);
    }
    const { out } = await piped(['decode'], `{"db":0,"key":"k", "expireAt": 7,"payload":"${base64(ten)}"}`);
    expect(out).toBe('{"db":0,"key":"k","type":"string","expireAt":7,"value":"10"}\n');
  });

  test('one of them gets the whole report', async () => {
    const { out } = await piped(['check'], `{"db":0,"key":"k\\u001b","payload":"${base64(ten)}"}`);
    expect(out).toContain('key       "k\\u001b", db 0\n');
  });

  test('a key that looks like the payload is none', async () => {
    const key = 'x","payload":"AAAA';
    const { out } = await piped(['decode'], JSON.stringify({ db: 0, key, payload: base64(ten) }));
    expect(JSON.parse(out)).toMatchObject({ key, value: '10' });
  });
});

describe('what is wrong', () => {
  const changed = (payload: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array => {
    const copy = payload.slice();
    change(copy);
    return copy;
  };

  test.each<[string, Uint8Array, string, RegExp]>([
    ['a wrong checksum', changed(ten, (copy) => (copy[1] ^= 1)), 'CHECKSUM', /, as the payload says, got [0-9a-f]{16} from its bytes/],
    ['no checksum', changed(ten, (copy) => copy.fill(0, -8)), 'CHECKSUM', /expected a checksum, got zeros/],
    [
      'an end before the value has one',
      encodePayload(0, bytes(5, 0x61), 10),
      'TRUNCATED',
      /offset 3: expected the rest of the value, got the footer/,
    ],
    ['a type of nobody', encodePayload(99, bytes(1), 10), 'UNKNOWN_OPCODE', /expected a value type of redis RDB version 10, got byte 99/],
    [
      'a type of the other vendor',
      encodePayload(24, bytes(1), 80),
      'UNKNOWN_OPCODE',
      /valkey RDB version 80, got type 24, HASH_METADATA, which Redis has from RDB version 12 on/,
    ],
    ['a module of release candidates', encodePayload(6, bytes(1), 9), 'UNSUPPORTED_TYPE', /type 6/],
    ['a broken listpack', encodePayload(16, str(bytes(9, 0, 0, 0, 1, 0, 0x81, 0x61, 0xff)), 10), 'BAD_LISTPACK', /offset 1/],
    ['metadata that does not end', encodePayload(0xf3, bytes(1, 0, 0, 0), 13), 'TRUNCATED', /metadata/],
  ])('%s', async (_, payload, code, message) => {
    const result = await piped(['check'], payload);
    expect([result.code, result.err]).toEqual([3, '']);
    expect(result.out).toMatch(new RegExp(`\\ndamage {4}${code}: `));
    expect(result.out).toMatch(message);
    expect(result.out).not.toContain('servers');
    expect(JSON.parse((await piped(['check', '--json', '--from', 'raw'], payload)).out)).toMatchObject({
      valid: false,
      servers: [],
      error: { code },
    });
  });

  test('decode ends with it, unless it is only the checksum and that is not looked at', async () => {
    const wrong = Buffer.from(changed(ten, (copy) => (copy[1 + 1] = 11))).toString('hex');
    expect(await given('decode', wrong)).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringMatching(/^rdbkit: CHECKSUM: offset 5: /) as string,
    });
    expect(await given('decode', '--no-checksum', wrong)).toEqual({ code: 0, out: '{"type":"string","value":"11"}\n', err: '' });
    const zero = Buffer.from(changed(ten, (copy) => copy.fill(0, -8))).toString('hex');
    expect(await given('decode', zero)).toEqual({
      code: 0,
      out: '{"type":"string","value":"10"}\n',
      err: 'rdbkit: warning: it has no checksum (zeros): no RESTORE takes it.\n',
    });
    const broken = Buffer.from(encodePayload(1, bytes(2, str('a'), 5), 10)).toString('hex');
    expect(await given('decode', broken)).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringMatching(/^rdbkit: TRUNCATED: offset 5: /) as string,
    });
  });

  test('bytes behind the value are told', async () => {
    const payload = encodePayload(0, bytes(str('a'), 1, 2, 3), 10);
    expect(await piped(['check'], payload)).toMatchObject({
      code: 0,
      out: expect.stringContaining('trailing  3 bytes after the value, which servers ignore\n') as string,
    });
    expect(await piped(['decode'], payload)).toEqual({
      code: 0,
      out: '{"type":"string","value":"a"}\n',
      err: 'rdbkit: warning: 3 bytes follow the value before the footer.\n',
    });
  });

  test.each([
    [['check', 'hello'], 3, /^rdbkit: BAD_PAYLOAD: expected 12 bytes or more in one of the forms .*got text of 5 characters/],
    [['check', '(nil)'], 3, /got the answer for a key that does not exist/],
    [['check', '(error) NOAUTH Authentication required.'], 3, /got an error of the server: NOAUTH Authentication required\./],
    [['check', '--from', 'hex', '00zz'], 3, /^rdbkit: BAD_PAYLOAD: expected a payload in the form hex, got "z" at character 3/],
    [['check', '--from', 'hex', '0000'], 3, /expected 12 bytes or more in the form hex/],
    [['check', fixture('redis-7.0.15')], 3, /If it is meant as the name of a file: rdbkit payload check < \S+\.rdb\.$/],
    [['check'], 3, /got nothing/],
    [['check', '--from', 'new\x1b'], 2, /--from "new\\u001b": expected one of quoted, hex, base64, raw/],
    [['check', '--from', 'raw', 'x'], 2, /--from raw is for standard input/],
    [['check', 'a', 'b'], 2, /too many arguments/],
    [['look'], 2, /unknown command 'look'/],
  ])('%j exits %i', async (argv, code, message) => {
    const result = await given(...argv);
    expect([result.code, result.out]).toEqual([code, '']);
    expect(result.err.trimEnd()).toMatch(message);
    expect(result.err).not.toContain('\x1b');
  });

  test('a terminal is not waited for, a signal is heard', async () => {
    const terminal = Object.assign(stdinOf(), { isTTY: true });
    expect(await rdbkit(['payload', 'decode'], { stdin: terminal })).toMatchObject({
      code: 2,
      err: expect.stringContaining('redis-cli --raw dump KEY | rdbkit payload decode') as string,
    });
    expect(await rdbkit(['payload', 'check'], { stdin: stdinOf('x'), signal: aborted('SIGTERM') })).toMatchObject({ code: 143, out: '' });
  });
});

test('any bytes end in a report or an error of the input', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 33 }),
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.constantFrom(9, 11, 13, 15, 80),
      async (type, value, version) => {
        const payload = encodePayload(type, value, version);
        expect([0, 3]).toContain((await piped(['check'], payload)).code);
        expect([0, 3]).toContain((await piped(['decode'], payload)).code);
      },
    ),
    { numRuns: 300 },
  );
});

test('module metadata of a key, which servers before 8.6 do not read', async () => {
  const meta = bytes(len(1), le(0x1234_5678, 4), 2, len(5), 0);
  const payload = encodePayload(0, str('v'), 13, meta);
  expect((await piped(['check'], payload)).out).toMatch(/^metadata {2}8 bytes, of modules\n(.*\n)*servers {3}Redis 8\.6 to 8\.12\n/m);
  expect(JSON.parse((await piped(['decode'], payload)).out)).toMatchObject({ type: 'string', keyMeta: [expect.anything()], value: 'v' });
});

test('servers are those that have version, type and borders of listpacks', async () => {
  const ranges = async (payload: Uint8Array): Promise<string | undefined> =>
    /^servers {3}(.*)$/m.exec((await piped(['check'], payload)).out)?.[1];
  expect(await ranges(encodePayload(0, str('v'), 6))).toBe('Redis 2.6 to 3.0, Redis 3.2 to 8.12, Valkey 7.2 to 9.2');
  expect(await ranges(encodePayload(0, str('v'), 7))).toBe('Redis 3.2.0 to 8.12, Valkey 7.2 to 9.2');
  expect(await ranges(encodePayload(0, str('v'), 12))).toBe('Redis 7.4 to 8.12');
  expect(await ranges(encodePayload(0, str('v'), 80))).toBe('Valkey 9.0 to 9.2');
  expect(await ranges(encodePayload(0, str('v'), 81))).toBe('Valkey 9.2');
  expect(await ranges(encodePayload(0, str('v'), 82))).toBe('none that is known');
  const border = [new Uint8Array(16_378), bytes('v')]; // an entry of 16383 bytes with its header
  expect(await ranges(encodePayload(16, str(listpack(border)), 10))).toBe('Redis 7.0 to 8.6, Valkey 7.2 to 9.0');
  expect(await ranges(encodePayload(16, str(listpack(border, true)), 10))).toBe('Redis 8.8 to 8.12, Valkey 9.1 to 9.2');
});

test('a value that comes in parts', async () => {
  const value = 'x'.repeat(3 << 20);
  const { code, out } = await piped(['decode'], encodePayload(0, str(value), 10));
  expect([code, out === `{"type":"string","value":"${value}"}\n`]).toEqual([0, true]);
  const members = Array.from({ length: 200_000 }, (_, i) => str(`member:${i}`));
  const list = encodePayload(1, bytes(len(members.length), members), 10);
  expect((JSON.parse((await piped(['decode'], list)).out) as { value: string[] }).value).toHaveLength(200_000);
  const short = encodePayload(1, bytes(len(members.length + 1), members), 10);
  expect((await piped(['check'], short)).out).toContain('damage    TRUNCATED');
  const torn = await piped(['decode'], short);
  expect([torn.code, torn.out.endsWith('"\n'), torn.err]).toEqual([
    3,
    true,
    expect.stringMatching(/^rdbkit: TRUNCATED: .* The last line of the output is torn: /) as string,
  ]);
});

test('the help fits a terminal', async () => {
  expect((await given('--help')).out).toContain('check');
  const { out } = await given('check', '--help');
  expect(out).toContain('--from <form>');
  expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
});
