import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { formatText } from '../../src/bytes/text.js';
import { CsvRows } from '../../src/inspect/csv.js';
import { FIXTURE, Folder, lines, rdbkit } from '../support/cli-support.js';
import { parseCsv } from '../support/csv.js';
import { type Row, table } from '../support/key-rows.js';

const folder = new Folder();
afterAll(() => folder.remove());

const HEADER = 'database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry';
const csv = async (rows: Iterable<Row>): Promise<string> => (await table((sink) => new CsvRows(sink), rows)).toString();
const key = (text: string): Row => ({ key: Buffer.from(text) });

test('a row for each key, with the columns, names and line ends of redis-rdb-tools', async () => {
  const written = await csv([
    { ...key('expires_ms_precision'), memory: 128, elements: 27, largest: 27, expireAt: 1671963072573n },
    { ...key('z'), db: 15, type: 5, encoding: 'skiplist', memory: 2 ** 53 - 1, elements: 1e9, largest: 4294967296 },
    { ...key('s'), type: 15, encoding: 'stream', memory: 100.75, expireAt: 0n },
    { ...key('i'), encoding: 'int' },
    { ...key('e'), encoding: 'embstr' },
    { ...key('l'), type: 18, encoding: 'quicklist' },
    { ...key(''), type: 24, encoding: 'listpackex' },
  ]);
  expect(written).toBe(
    `${HEADER}
0,string,expires_ms_precision,128,string,27,27,2022-12-25T10:11:12.573000
15,sortedset,z,9007199254740991,skiplist,1000000000,4294967296,
0,stream,s,100,listpack,0,0,1970-01-01T00:00:00
0,string,i,0,string,0,0,
0,string,e,0,string,0,0,
0,list,l,0,quicklist,0,0,
0,hash,,0,listpackex,0,0,
`,
  );
});

test('without keys there is a header', async () => {
  expect(await csv([])).toBe(`${HEADER}\n`);
});

test.each([
  ['user:1 {tag}', 'user:1 {tag}'],
  [' =1+1', ' =1+1'],
  ['größe', 'größe'],
  ['a,b', '"a,b"'],
  ['say "hi"', '"say ""hi"""'],
  ['"', '""""'],
  ['a\nb', '"a\nb"'],
  ['a\rb', '"a\rb"'],
  ['größe,"', '"größe,"""'],
  ['base64:x', 'base64:YmFzZTY0Ong='],
  ['base64,', '"base64,"'],
  ['\u{feff}x', '\u{feff}x'],
  ['\0', '\0'],
])('the key %j is written as %j', async (given, field) => {
  expect(await csv([key(given)])).toBe(`${HEADER}\n0,string,${field},0,string,0,0,\n`);
});

test('bytes that are no UTF-8 are base64', async () => {
  expect(await csv([{ key: Uint8Array.of(0x2c, 0xff, 0x22) }])).toBe(`${HEADER}\n0,string,base64:LP8i,0,string,0,0,\n`);
});

/** Keys with many of the bytes that are special. */
const keys = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => new Uint8Array(Buffer.from(text))),
  fc
    .array(fc.constantFrom('"', ',', '\r', '\n', 'a', 'ä', 'base64:', '', '€'), { maxLength: 40 })
    .map((parts) => new Uint8Array(Buffer.from(parts.join('')))),
);

test('any keys come back from another parser', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(keys, { maxLength: 20 }), async (given) => {
      const texts = given.map((bytes) => formatText(bytes));
      const parsed = parseCsv(await csv(given.map((bytes) => ({ key: bytes, memory: 7, elements: 1, largest: 3 }))));
      expect(parsed.slice(1)).toEqual(texts.map((text) => ['0', 'string', text, '7', 'string', '1', '3', '']));
    }),
    { numRuns: 300 },
  );
});

const MILLISECONDS = { min: -62_135_596_800_000n, max: 253_402_300_799_999n };

const times = fc.oneof(fc.bigInt(MILLISECONDS), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));

test('expiries are the UTC time in the ISO form of Python, within its years', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(times, { maxLength: 100 }), async (given) => {
      const written = parseCsv(await csv(given.map((expireAt) => ({ ...key('k'), expireAt }))));
      expect(written.slice(1).map((row) => row[7])).toEqual(
        given.map((time) => {
          const clamped = time < MILLISECONDS.min ? MILLISECONDS.min : time > MILLISECONDS.max ? MILLISECONDS.max : time;
          const iso = new Date(Number(clamped)).toISOString().slice(0, -1);
          return iso.endsWith('.000') ? iso.slice(0, -4) : `${iso}000`;
        }),
      );
    }),
    { numRuns: 100 },
  );
});

test('more rows than the buffers hold, and a key that is longer than one', async () => {
  const long = `${'x'.repeat(3 << 20)}"`;
  const parsed = parseCsv(
    await csv(
      (function* (): Generator<Row> {
        for (let i = 0; i < 30_000; i++) yield { ...key(`user:${i}:session,data`), memory: i };
        yield key(long);
        yield { key: new Uint8Array(4 << 20).fill(0xff) };
        yield key('last');
      })(),
    ),
  );
  expect(parsed.length).toBe(30_004);
  expect(parsed.slice(1, 30_001).every(([, , name, memory], i) => name === `user:${i}:session,data` && memory === String(i))).toBe(true);
  expect([parsed[30_001][2] === long, parsed[30_002][2] === formatText(new Uint8Array(4 << 20).fill(0xff)), parsed[30_003][2]]).toEqual([
    true,
    true,
    'last',
  ]);
});

test('the command writes the keys that decode gives, in the same order', async () => {
  const path = folder.at('keys.csv');
  const { code, err, out } = await rdbkit(['inspect', FIXTURE, '--csv', path, '--format', 'json', '-q']);
  expect([code, err]).toEqual([0, '']);
  const [header, ...rows] = parseCsv(readFileSync(path, 'utf8'));
  expect(header.join(',')).toBe(HEADER);
  const decoded = lines((await rdbkit(['decode', FIXTURE, '-q'])).out);
  expect(rows.map(([db, type, name, , , , , expiry]) => [db, type, name, expiry === '' ? undefined : Date.parse(`${expiry}Z`)])).toEqual(
    decoded.map(({ db, expireAt, key: name, type }) => [String(db), type === 'zset' ? 'sortedset' : type, name, expireAt]),
  );
  const report = JSON.parse(out) as { totals: { memory: number; elements: number } };
  const sum = (column: number): number => rows.reduce((total, row) => total + Number(row[column]), 0);
  expect([sum(3), sum(5)]).toEqual([report.totals.memory, report.totals.elements]);
});
