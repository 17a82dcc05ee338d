import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { openInput } from '../../src/io/input.js';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { bytes, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const fixtures = join(import.meta.dirname, '../../fixtures');
const base64 = (payload: Uint8Array): string => Buffer.from(payload).toString('base64');
const line = (fields: object, payload: Uint8Array = encodePayload(0, str('v'), 10)): string => JSON.stringify({ db: 0, key: 'k', ...fields, payload: base64(payload), error: 'ERR x', server: 'a:1' });
const decoded = (text: string, ...argv: string[]): Promise<Result> => rdbkit(['decode', '-', ...argv], { stdin: Readable.from([Buffer.from(text)], { objectMode: false }) });

describe('lines of payloads are read as the file that they are of', () => {
  for (const name of readdirSync(join(fixtures, 'servers')).filter((file) => file.endsWith('.rdb'))) {
    test(name, async () => {
      const rdb = join(fixtures, 'servers', name);
      const path = folder.file(`${name}.jsonl`, (await rdbkit(['dump', rdb, '--format', 'payload'])).out);
      const { out } = await rdbkit(['decode', rdb]);
      expect(await rdbkit(['decode', path, '--quiet'])).toEqual({ code: 0, out, err: '' });
      const again = await rdbkit(['dump', path, '--format', 'payload', '--quiet']);
      expect(again.out).toBe(readFileSync(path, 'utf8'));
    });
  }

  test('in any chunks, with white space around, compressed or not', async () => {
    const { out } = await rdbkit(['dump', join(fixtures, 'example.rdb'), '--format', 'payload', '--quiet']);
    const { out: lines } = await rdbkit(['decode', join(fixtures, 'example.rdb'), '--quiet']);
    const text = Buffer.from(`\n \r\n${out.replaceAll('\n', '\r\n\n')}`);
    const whole = await chunksOf(text, text.length);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), async (size) => {
        expect(await chunksOf(text, size)).toEqual(whole);
      }),
    );
    expect((await rdbkit(['decode', folder.file('made.rdb', whole), '--quiet'])).out).toBe(lines);
  });

  test('an error leaves what stands before it', async () => {
    const path = folder.file('torn.jsonl', `${line({ key: 'a' })}\n\n${line({ key: 'b' }).slice(0, 50)}`);
    const { code, err, out } = await rdbkit(['decode', path]);
    expect([code, out]).toEqual([3, '{"db":0,"key":"a","type":"string","value":"v"}\n']);
    expect(err).toContain(`${path}, line 3: expected `);
  });

  test('expiries, idle times, frequencies, databases and keys of any bytes come through', async () => {
    const lines = [
      line({ db: 3, key: 'base64:/w==', expireAt: 4102444800000 }),
      line({ db: 0, key: '__proto__', idle: 77 }),
      line({ db: 20000, key: 'x","payload":"AAAA', freq: 255 }),
    ];
    const [a, b, c] = (await decoded(lines.join('\n'), '--quiet')).out.trim().split('\n').map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(a).toMatchObject({ db: 3, key: 'base64:/w==', expireAt: 4102444800000, value: 'v' });
    expect([b.db, b.key, b.idle]).toEqual([0, '__proto__', 77]);
    expect(c).toMatchObject({ db: 20000, key: 'x","payload":"AAAA', freq: 255 });
  });
});

async function chunksOf(text: Uint8Array, size: number): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of openInput(new Uint8Array(text), { chunkSize: size }).chunks()) all.push(chunk.slice());
  return new Uint8Array(Buffer.concat(all));
}

describe('what is wrong with a line is said, and where', () => {
  const damaged = encodePayload(0, str('v'), 10);
  damaged[1] ^= 1;
  const zeros = encodePayload(0, str('v'), 10).fill(0, -8);
  const cases: [about: string, text: string, message: RegExp][] = [
    ['a wrong checksum', line({}, damaged), /CHECKSUM: .*line 2, db 0, key "k": expected the checksum at the end of the payload/],
    ['no checksum', line({}, zeros), /CHECKSUM: .*line 2, db 0, key "k": .*got zeros/],
    ['a payload that ends too soon', line({}, encodePayload(0, bytes(5, 65), 10)), /TRUNCATED: .*line 2.*the rest of the value/],
    ['bytes behind the value, which would be keys', line({}, encodePayload(0, bytes(str('v'), 0, str('x'), str('y')), 10)), /BAD_PAYLOAD: .*line 2.*expected nothing after the value, got 5 bytes/],
    ['a type that there is not', line({}, encodePayload(200, str('v'), 10)), /UNKNOWN_OPCODE: .*line 2/],
    ['no key', `{"type":"string","payload":"${base64(encodePayload(0, str('v'), 10))}"}`, /BAD_PAYLOAD: .*line 2: expected a line with "db" and "key"/],
    ['no payload', '{"db":0,"key":"k","type":"hash","error":"too large"}', /BAD_PAYLOAD: .*line 2: expected an object with "payload"/],
    ['a short payload', line({}, bytes(1, 2, 3)), /BAD_PAYLOAD: .*line 2.*expected a payload of 12 bytes or more, got 3/],
    ['an expiry that is no number of 64 bits', `{"db":0,"key":"k","expireAt":9223372036854775808,"payload":"${base64(encodePayload(0, str('v'), 10))}"}`, /BAD_PAYLOAD: .*line 2: expected Unix milliseconds/],
    ['an expiry in words', line({ expireAt: 'soon' }), /BAD_PAYLOAD: .*line 2: expected Unix milliseconds/],
    ['a frequency over a byte', line({ freq: 256 }), /BAD_PAYLOAD: .*line 2: expected an integer from 0 to 255 as freq, got 256/],
  ];
  test.each(cases)('%s', async (_, text, message) => {
    const { code, err, out } = await decoded(`${line({ key: 'first' })}\n${text}\n${line({ key: 'third' })}\n`);
    expect([code, out]).toEqual([3, '{"db":0,"key":"first","type":"string","value":"v"}\n']);
    expect(err).toMatch(message);
  });

  test('what Redis and Valkey do not have in common does not go into one file', async () => {
    const { out } = await rdbkit(['dump', join(fixtures, 'servers/valkey-9.1.2.rdb'), '--format', 'payload', '--quiet']);
    const own = out.split('\n').find((text) => text !== '' && Buffer.from(/"payload":"([^"]*)"/.exec(text)?.[1] ?? '', 'base64')[0] >= 22) ?? '';
    const { err } = await decoded(`${line({})}\n${own}\n`);
    expect(err).toMatch(/BAD_PAYLOAD: .*line 2.*expected a payload of redis, as the first one, got one of valkey, whose type 2\d is another/);
    const common = out.split('\n').filter((text) => text !== own && Buffer.from(/"payload":"([^"]*)"/.exec(text)?.[1] ?? '', 'base64')[0] < 22);
    expect((await decoded(`${line({})}\n${common.slice(0, 5).join('\n')}\n`)).code).toBe(0);
  });

  test('in --json the line is a field', async () => {
    const { err } = await decoded(`${line({})}\n${line({}, damaged)}\n`, '--json');
    expect(JSON.parse(err.trim().split('\n').at(-1) ?? '')).toMatchObject({ errors: [{ code: 'CHECKSUM', line: 2, db: 0, key: 'k' }] });
  });
});
