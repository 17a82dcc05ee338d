import { describe, expect, test } from 'vitest';
import { TABLES } from '../../src/rdb/types.js';
import { thinned } from '../support/factor.js';
import {
  be,
  bytes,
  type DecodeOptions,
  decodeBytes,
  f64,
  intset,
  intStr,
  le,
  len,
  listpack,
  lzfStr,
  outcome,
  type Part,
  rdb,
  str,
  ziplist,
  zipmap,
} from '../support/support.js';

const REDIS = 'REDIS0015';
const VALKEY = 'VALKEY080';
const MS = 1_700_000_000_123;

/** Chunks and limits that every file is read with. */
const WAYS: readonly DecodeOptions[] = [{}, { chunks: 1 }, { chunks: 1, limit: 64 }, { limit: 64 }, { chunks: [7, 3, 64], limit: 100 }, { codec: true }, { codec: true, chunks: 5, limit: 64 }];

/** Decodes in every way; says the lines, which must be the same in all of them. */
async function lines(file: Uint8Array, meta = false): Promise<string> {
  const [first, ...others] = await Promise.all(WAYS.map((way) => outcome(file, { ...way, meta })));
  for (const [i, other] of others.entries()) expect(other, JSON.stringify(WAYS[i + 1])).toBe(first);
  return first;
}

const id = (ms: number | bigint, seq: number | bigint): Part => [be(ms, 8), be(seq, 8)];
const idLen = (ms: number | bigint, seq: number | bigint): Part => [len(ms), len(seq)];
const loop = (...items: Part[]): Part => [len(items.length), items];
const node = (master: Part, items: (string | bigint)[]): Part => [str(master), str(listpack(items))];

/** Entry 5-1 {f: v1}, a deleted one, entry 6-0 {g: v3, h: ""}; 2^64-1 milliseconds on the second node. */
const NODES: Part = loop(
  node(id(5, 1), [
    ...[2n, 1n, 1n, 'f', 0n],
    ...[2n, 0n, 0n, 'v1', 4n],
    ...[3n, 0n, 1n, '12', 4n],
    ...[0n, 1n, -1n, 2n, 'g', -5n, 'h', '', 8n],
  ]),
  [str(id(2n ** 64n - 2n, 2n ** 63n)), lzfStr(listpack([1n, 0n, 2n, 'a', 'b', 0n, 2n, 1n, 2n ** 62n, 'x'.repeat(80), 7n, 5n]))],
);
const ENTRIES =
  '"entries":[{"id":"5-1","fields":["f","v1"]},{"id":"6-0","fields":["g","-5","h",""]},' +
  `{"id":"18446744073709551615-13835058055282163712","fields":["a","${'x'.repeat(80)}","b","7"]}]`;
const HEAD: Part = [NODES, len(3), idLen(2n ** 64n - 1n, 13835058055282163712n)];
const HEAD_JSON = `${ENTRIES},"length":3,"lastId":"18446744073709551615-13835058055282163712"`;
const OFFSETS: Part = [idLen(5, 1), idLen(5, 2), len(4)];
const OFFSETS_JSON = '"firstId":"5-1","maxDeletedId":"5-2","entriesAdded":4';
const UNKNOWN = len(2n ** 64n - 1n);

const PEL: Part = loop([id(5, 1), le(MS, 8), len(3)], [id(6, 0), le(-1, 8), len(100)]);
const group = (version: number, name: Part, entriesRead: Uint8Array, active: bigint): Part => [
  str(name),
  idLen(6, 0),
  version >= 19 ? entriesRead : [],
  PEL,
  loop(
    [str('alice'), le(MS, 8), version >= 21 ? le(MS + 1, 8) : [], loop(id(5, 1), id(6, 0))],
    [intStr(77, 1), le(MS, 8), version >= 21 ? le(active, 8) : [], len(0)],
  ),
];
const groupJson = (name: string, entriesRead: string, active: (n: number) => string, owner = '"alice"'): string =>
  `{"name":"${name}","lastId":"6-0","entriesRead":${entriesRead},"pending":[` +
  `{"id":"5-1","consumer":"alice","deliveredAt":${MS},"deliveries":3},{"id":"6-0","consumer":${owner},"deliveredAt":-1,"deliveries":100}],` +
  `"consumers":[{"name":"alice","seenTime":${MS}${active(0)}},{"name":"77","seenTime":${MS}${active(1)}}]}`;
const ACTIVE = (n: number): string => `,"activeTime":${n === 0 ? MS + 1 : 'null'}`;

const stream = (rest: string): string => `{${HEAD_JSON},${rest}}`;
const PRODUCERS: Part = [
  len(600),
  len(100),
  loop([str('p1'), loop([str('iid-1'), idLen(5, 1)], [intStr(-9, 1), idLen(6, 0)])], [str('p2'), len(0)]),
  len(7),
  len(2n ** 63n),
];
const PRODUCERS_JSON =
  '"idempotence":{"duration":600,"maxEntries":100,"producers":[{"id":"p1","entries":[{"id":"iid-1","streamId":"5-1"},' +
  '{"id":"-9","streamId":"6-0"}]},{"id":"p2","entries":[]}],"added":7,"duplicates":9223372036854775808}';

const MODULE_ID = bytes(0x81, be(0xb5eb2dffffddb401n, 8)); // test___dt, version 1
const PARTS: Part = [2, len(2n ** 64n - 9n), 1, len(2n ** 64n - 9n), 3, le(0x3fc00000, 4), 4, f64(-0.1), 5, str('h\u00e9'), 5, intStr(-300, 2), 5, lzfStr('abc'.repeat(30)), 0];
const PARTS_JSON =
  `[{"uint":"18446744073709551607"},{"sint":"-9"},{"float":1.5},{"double":-0.1},{"string":"h\u00e9"},{"string":"-300"},{"string":"${'abc'.repeat(30)}"}]`;

const NAMES: Part = loop(str('a'), intStr(42, 1), lzfStr('z'.repeat(90)));
const TEMPLATE: Part = [0xf2, len(3), NAMES];
const TEMPLATE_JSON = `{"a":"1","42":"two","${'z'.repeat(90)}":"-3"}`;

interface Row {
  readonly name: string;
  readonly id: number;
  readonly body: Part;
  readonly type: string;
  readonly value: string;
  readonly magic?: string;
  readonly before?: Part;
}

const row = (id: number, name: string, type: string, body: Part, value: string, more: Partial<Row> = {}): Row => ({ id, name, type, body, value, ...more });

/** Bits 0, 2 and 65536, as CRoaring serialises them. */
const THREE_BITS = '0100000000000000000000003a300000020000000000010001000000180000001c000000000002000000';

const ROWS: readonly Row[] = [
  row(0, 'STRING', 'string', str('value'), '"value"'),
  row(0, 'STRING, empty', 'string', str(), '""'),
  row(0, 'STRING, binary', 'string', str(0xff, 0), '"base64:/wA="'),
  row(0, 'STRING, integer of 1 byte', 'string', intStr(-128, 1), '"-128"'),
  row(0, 'STRING, integer of 2 bytes', 'string', intStr(-32768, 2), '"-32768"'),
  row(0, 'STRING, integer of 4 bytes', 'string', intStr(-2147483648, 4), '"-2147483648"'),
  row(0, 'STRING, LZF', 'string', lzfStr('ab'.repeat(30)), `"${'ab'.repeat(30)}"`),
  row(0, 'STRING, length in 2 bytes', 'string', [len(1, 2), 'x'], '"x"'),
  row(0, 'STRING, length in 4 bytes', 'string', [len(1, 5), 'x'], '"x"'),
  row(0, 'STRING, length in 8 bytes', 'string', [len(1, 9), 'x'], '"x"'),
  row(1, 'LIST', 'list', loop(str('a'), intStr(5, 1), lzfStr('q'.repeat(40)), str()), `["a","5","${'q'.repeat(40)}",""]`),
  row(2, 'SET', 'set', loop(str('b'), str('a')), '["b","a"]'),
  row(2, 'SET, empty', 'set', len(0), '[]'),
  row(3, 'ZSET', 'zset', loop([str('a'), 4, '-1.5'], [str('b'), 253], [str('c'), 254], [str('d'), 255], [str('e'), 2, '-0'], [str('f'), 24, '-1.7976931348623157e+308']), '{"a":-1.5,"b":"nan","c":"inf","d":"-inf","e":-0,"f":-1.7976931348623157e+308}'),
  row(4, 'HASH', 'hash', loop([str('f'), str('v')], [intStr(1, 1), lzfStr('y'.repeat(70))], [str('__proto__'), str()]), `{"f":"v","1":"${'y'.repeat(70)}","__proto__":""}`),
  row(5, 'ZSET_2', 'zset', loop([str('a'), f64(0.1)], [str('b'), f64(-0)], [str('c'), f64(NaN)], [str('d'), f64(-Infinity)], [str('e'), f64(2 ** 60)]), '{"a":0.1,"b":-0,"c":"nan","d":"-inf","e":1152921504606847000}'),
  row(7, 'MODULE_2', 'module', [MODULE_ID, PARTS], `{"module":"test___dt","version":1,"parts":${PARTS_JSON}}`),
  row(9, 'HASH_ZIPMAP', 'hash', str(zipmap([['f', 'v'], ['long', 'w'.repeat(300)]], 3)), `{"f":"v","long":"${'w'.repeat(300)}"}`),
  row(10, 'LIST_ZIPLIST', 'list', str(ziplist(['a', 3n, 'b'.repeat(300), -70000n])), `["a","3","${'b'.repeat(300)}","-70000"]`),
  row(11, 'SET_INTSET', 'set', str(intset(2, [-5n, 7n])), '["-5","7"]'),
  row(11, 'SET_INTSET, LZF', 'set', lzfStr(intset(8, [-(2n ** 63n), 0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n])), '["-9223372036854775808","0","1","2","3","4","5","6","7"]'),
  row(12, 'ZSET_ZIPLIST', 'zset', str(ziplist(['a', '1.5', 'b', 2n, 7n, '-inf', 'c', '9007199254740993'])), '{"a":1.5,"b":2,"7":"-inf","c":9007199254740992}'),
  row(13, 'HASH_ZIPLIST', 'hash', str(ziplist(['f', 'v', 1n, -1n])), '{"f":"v","1":"-1"}'),
  row(14, 'LIST_QUICKLIST', 'list', loop(str(ziplist(['a', 1n])), lzfStr(ziplist(['c'.repeat(60)])), str(ziplist([]))), `["a","1","${'c'.repeat(60)}"]`),
  row(15, 'STREAM_LISTPACKS', 'stream', [HEAD, loop(group(15, 'g1', UNKNOWN, 0n))], stream(`"groups":[${groupJson('g1', 'null', () => '')}]`)),
  row(15, 'STREAM_LISTPACKS, empty', 'stream', [len(0), len(0), idLen(0, 0), len(0)], '{"entries":[],"length":0,"lastId":"0-0","groups":[]}'),
  row(16, 'HASH_LISTPACK', 'hash', str(listpack(['f', 'v', 300n, -4096n])), '{"f":"v","300":"-4096"}'),
  row(17, 'ZSET_LISTPACK', 'zset', str(listpack(['a', '0.25', 'b', -70000n])), '{"a":0.25,"b":-70000}'),
  row(18, 'LIST_QUICKLIST_2', 'list', loop([len(2), str(listpack(['a', 5n]))], [len(1), lzfStr('p'.repeat(90))], [len(1), intStr(9, 1)], [len(2), lzfStr(listpack(['r'.repeat(64)]))]), `["a","5","${'p'.repeat(90)}","9","${'r'.repeat(64)}"]`),
  row(19, 'STREAM_LISTPACKS_2', 'stream', [HEAD, OFFSETS, loop(group(19, 'g1', UNKNOWN, 0n), group(19, 'g2', len(2n ** 60n), 0n))], stream(`${OFFSETS_JSON},"groups":[${groupJson('g1', 'null', () => '')},${groupJson('g2', '1152921504606846976', () => '')}]`)),
  row(20, 'SET_LISTPACK', 'set', str(listpack(['a', 127n, 128n])), '["a","127","128"]'),
  row(21, 'STREAM_LISTPACKS_3', 'stream', [HEAD, OFFSETS, loop(group(21, 'g1', len(4), -1n))], stream(`${OFFSETS_JSON},"groups":[${groupJson('g1', '4', ACTIVE)}]`)),
  row(22, 'HASH_METADATA_PRE_GA', 'hash', loop([len(0), str('f'), str('v')], [len(MS), str('g'), str('w')]), `{"f":"v","g":{"value":"w","expireAt":${MS}}}`),
  row(22, 'HASH_2', 'hash', loop([str('f'), str('v'), le(-1, 8)], [str('g'), str('w'), le(MS, 8)]), `{"f":"v","g":{"value":"w","expireAt":${MS}}}`, { magic: VALKEY }),
  row(22, 'HASH_2 by the aux field of Valkey', 'hash', loop([str('g'), str('w'), le(MS, 8)]), `{"g":{"value":"w","expireAt":${MS}}}`, { magic: 'REDIS0011', before: [0xfa, str('valkey-ver'), str('9.0.0')] }),
  row(23, 'HASH_LISTPACK_EX_PRE_GA', 'hash', str(listpack(['f', 'v', BigInt(MS), 'g', 1n, 0n])), `{"f":{"value":"v","expireAt":${MS}},"g":"1"}`),
  row(24, 'HASH_METADATA', 'hash', [le(MS, 8), loop([len(1), str('f'), str('v')], [len(1001), str('g'), lzfStr('l'.repeat(70))], [len(0), str('h'), str('x')])], `{"f":{"value":"v","expireAt":${MS}},"g":{"value":"${'l'.repeat(70)}","expireAt":${MS + 1000}},"h":"x"}`),
  row(25, 'HASH_LISTPACK_EX', 'hash', [le(MS, 8), str(listpack(['f', 'v', BigInt(MS), 5n, 6n, 0n]))], `{"f":{"value":"v","expireAt":${MS}},"5":"6"}`),
  row(25, 'HASH_LISTPACK_EX without expiries', 'hash', [le(0, 8), str(listpack(['f', 'v', 0n]))], '{"f":"v"}'),
  row(26, 'STREAM_LISTPACKS_4', 'stream', [HEAD, OFFSETS, loop(group(21, 'g1', len(4), -1n)), PRODUCERS], stream(`${OFFSETS_JSON},"groups":[${groupJson('g1', '4', ACTIVE)}],${PRODUCERS_JSON}`)),
  row(26, 'STREAM_LISTPACKS_4, no producers', 'stream', [len(0), len(0), idLen(1, 2), idLen(0, 0), idLen(0, 0), len(0), len(0), len(600), len(100), len(0), len(0), len(0)], '{"entries":[],"length":0,"lastId":"1-2","firstId":"0-0","maxDeletedId":"0-0","entriesAdded":0,"groups":[],"idempotence":{"duration":600,"maxEntries":100,"producers":[],"added":0,"duplicates":0}}'),
  row(27, 'STREAM_LISTPACKS_5', 'stream', [HEAD, OFFSETS, loop([str('g1'), idLen(6, 0), len(4), PEL, loop([str('alice'), le(MS, 8), le(MS + 1, 8), loop(id(5, 1))], [str('77'), le(MS, 8), le(-1, 8), len(0)]), loop(id(6, 0))], [str('g2'), idLen(0, 0), len(0), len(0), len(0), len(0)]), PRODUCERS], stream(`${OFFSETS_JSON},"groups":[${groupJson('g1', '4', ACTIVE, 'null')},{"name":"g2","lastId":"0-0","entriesRead":0,"pending":[],"consumers":[]}],${PRODUCERS_JSON}`)),
  row(28, 'ARRAY', 'array', [len(5), len(1), len(2n ** 64n - 2n), [len(0), len(0), str('s')], [len(1), len(1), le(-7, 8)], [len(300), len(2), f64(3)], [len(2n ** 40n), len(2), f64(-0.25)], [len(2n ** 64n - 2n), len(3), intStr(12, 1)]], '{"elements":[{"index":"0","value":"s"},{"index":"1","value":"-7"},{"index":"300","value":"3.0"},{"index":"1099511627776","value":"-0.25"},{"index":"18446744073709551614","value":"12"}],"insertIndex":"18446744073709551614"}'),
  row(28, 'ARRAY without insertion index', 'array', [len(1), len(0), [len(4), len(1), le(2n ** 60n, 8)]], '{"elements":[{"index":"4","value":"1152921504606846976"}]}'),
  row(29, 'HASH_TMPL_LP, names in a listpack', 'hash', [len(0), str(listpack(['a', 42n, 'z'.repeat(90)])), str(listpack([0n, 1n, 'two', -3n]))], TEMPLATE_JSON),
  row(29, 'HASH_TMPL_LP, names as strings', 'hash', [len(1), NAMES, lzfStr(listpack([0n, 1n, 'two', -3n]))], TEMPLATE_JSON),
  row(30, 'HASH_TMPL_LP_REF', 'hash', str(listpack([3n, 1n, 'two', -3n])), TEMPLATE_JSON, { before: TEMPLATE }),
  row(31, 'HASH_TMPL_ARRAY, names in a listpack', 'hash', [len(0), lzfStr(listpack(['a', 42n, 'z'.repeat(90)])), intStr(1, 1), str('two'), intStr(-3, 1)], TEMPLATE_JSON),
  row(31, 'HASH_TMPL_ARRAY, names as strings', 'hash', [len(1), NAMES, str('1'), str('two'), intStr(-3, 1)], TEMPLATE_JSON),
  row(33, 'BITMAP', 'bitmap', [len(8193), str(Buffer.from(THREE_BITS, 'hex'))], '{"length":8193,"bits":[0,2,65536]}', { magic: 'REDIS0017' }),
  row(33, 'BITMAP, empty', 'bitmap', [len(0), str(new Uint8Array(8))], '{"length":0,"bits":[]}', { magic: 'REDIS0017' }),
  row(32, 'HASH_TMPL_ARRAY_REF', 'hash', [len(3), str('1'), str('two'), intStr(-3, 1)], TEMPLATE_JSON, { before: TEMPLATE }),
];

/** The key that follows shows that the value ended where it should. */
const AFTER: Part = [0, str('after'), str('x')];
const AFTER_JSON = '{"db":0,"key":"after","type":"string","value":"x"}\n';

describe('types', () => {
  test.each(ROWS)('$id $name', async ({ id: type, body, type: name, value, magic = REDIS, before = [] }) => {
    const file = rdb(magic, [before, type, str('k'), body, AFTER]);
    expect(await lines(file)).toBe(`{"db":0,"key":"k","type":"${name}","value":${value}}\n${AFTER_JSON}`);
  });

  test('every row of the table of types has a file here', () => {
    for (const [vendor, magic] of [['redis', REDIS], ['valkey', VALKEY]] as const) {
      const tested = ROWS.filter((entry) => vendor === 'redis' ? entry.magic !== VALKEY : true).map((entry) => entry.id);
      const ids = TABLES[vendor].types.flatMap((entry) => (entry === undefined ? [] : [entry.id]));
      expect(ids.filter((entry) => !tested.includes(entry)), magic).toEqual([]);
    }
  });

  test('a stream entry handed back has no consumer only since type 27', async () => {
    const orphan: Part = [str('g'), idLen(6, 0), len(4), PEL, loop([str('alice'), le(MS, 8), le(MS, 8), loop(id(5, 1))])];
    const file = rdb(REDIS, [21, str('k'), HEAD, OFFSETS, loop(orphan)]);
    expect(await outcome(file)).toMatch(/^BAD_STREAM at \d+ db 0 key k$/);
  });
});

const KEY: Part = [0, str('k'), str('v')];
const KEY_JSON = '{"db":0,"key":"k","type":"string","value":"v"}\n';
const withField = (name: string, value: string): string => KEY_JSON.replace(',"value"', `,"${name}":${value},"value"`);
/** Module class "test", version 3, may be ignored. */
const SPEC = le((((45 << 18) | (30 << 12) | (44 << 6) | 45) * 256 + ((3 << 3) | 1)) >>> 0, 4);
const LONG = 'long '.repeat(100);

describe('opcodes', () => {
  test.each<[name: string, id: number, records: Part, want: string, magic?: string]>([
    ['SELECTDB', 254, [0xfe, 3, KEY, 0xfe, len(70_000), KEY], KEY_JSON.replace('0', '3') + KEY_JSON.replace('0', '70000')],
    ['EXPIRETIME, in seconds', 253, [0xfd, le(1_700_000_000, 4), KEY, KEY], withField('expireAt', '1700000000000') + KEY_JSON],
    ['EXPIRETIME before 1970', 253, [0xfd, le(-1, 4), KEY], withField('expireAt', '-1000')],
    ['EXPIRETIME_MS', 252, [0xfc, le(MS, 8), KEY, KEY], withField('expireAt', `${MS}`) + KEY_JSON],
    ['EXPIRETIME_MS beyond 2^53', 252, [0xfc, le(2n ** 62n + 1n, 8), KEY], withField('expireAt', `${2n ** 62n + 1n}`)],
    ['EXPIRETIME_MS, negative', 252, [0xfc, le(-5, 8), KEY], withField('expireAt', '-5')],
    ['RESIZEDB', 251, [0xfb, len(10), len(300), KEY], KEY_JSON],
    ['AUX', 250, [0xfa, str('a'), str('b'), KEY, 0xfa, str('c'), str('d')], KEY_JSON],
    ['FREQ', 249, [0xf9, 255, KEY, KEY], withField('freq', '255') + KEY_JSON],
    ['IDLE', 248, [0xf8, len(70_000), KEY, KEY], withField('idle', '70000') + KEY_JSON],
    ['IDLE, FREQ and EXPIRETIME_MS in any order', 248, [0xf9, 1, 0xfc, le(5, 8), 0xf8, 0, KEY], withField('expireAt', '5,"idle":0,"freq":1')],
    ['MODULE_AUX', 247, [0xf7, MODULE_ID, 2, 2, PARTS, KEY], KEY_JSON],
    ['FUNCTION_PRE_GA', 246, [0xf6, str('n'), str('LUA'), 1, str('about'), str('code'), 0xf6, str('n'), str('LUA'), 0, str(LONG), KEY], KEY_JSON],
    ['FUNCTION2', 245, [0xf5, str(LONG), 0xf5, lzfStr(LONG), KEY], KEY_JSON],
    ['SLOT_INFO', 244, [0xf4, len(16383), 5, 0, KEY], KEY_JSON],
    ['SLOT_IMPORT', 243, [0xf3, str('j'.repeat(40)), 2, 0, len(100), len(200), len(16383), KEY], KEY_JSON, VALKEY],
    ['KEY_META', 243, [0xf3, 1, SPEC, PARTS, KEY, KEY], withField('keyMeta', `[{"module":"test","version":3,"flags":1,"parts":${PARTS_JSON}}]`) + KEY_JSON],
    ['HASH_TEMPLATE', 242, [TEMPLATE, KEY], KEY_JSON],
    ['EOF', 255, [], ''],
  ])('%s', async (_, __, records, want, magic = REDIS) => {
    expect(await lines(rdb(magic, [records]))).toBe(want);
  });

  test.each<[name: string, records: Part, want: object, magic?: string]>([
    ['aux', [0xfa, str('ctime'), intStr(1_700_000_000, 4)], { type: 'aux', key: 'ctime', value: '1700000000' }],
    ['aux of any length', [0xfa, str(0xff), lzfStr(LONG)], { type: 'aux', key: 'base64:/w==', value: LONG }],
    ['function', [0xf5, str(LONG)], { type: 'function', value: LONG }],
    ['function of a release candidate', [0xf6, str('n'), str('LUA'), 1, str('about'), str('code')], { type: 'function', name: 'n', engine: 'LUA', description: 'about', value: 'code' }],
    ['function without a description', [0xf6, str('n'), str('LUA'), 0, str('code')], { type: 'function', name: 'n', engine: 'LUA', description: null, value: 'code' }],
    ['module aux', [0xf7, MODULE_ID, 2, 2, PARTS], { type: 'moduleAux', module: 'test___dt', version: 1, when: 2, parts: JSON.parse(PARTS_JSON) as unknown }],
    ['resizeDb', [0xfe, 2, 0xfb, len(10), len(300)], { type: 'resizeDb', db: 2, keys: 10, expires: 300 }],
    ['slotInfo', [0xf4, len(16383), 5, 0], { type: 'slotInfo', slot: 16383, keys: 5, expires: 0 }],
    ['slotImport', [0xf3, str('j'.repeat(40)), 2, 0, len(100), len(200), len(16383)], { type: 'slotImport', job: 'j'.repeat(40), slots: [[0, 100], [200, 16383]] }, VALKEY],
    ['hashTemplate', TEMPLATE, { type: 'hashTemplate', id: 3, fields: ['a', '42', 'z'.repeat(90)] }],
  ])('with --meta: %s', async (_, records, want, magic = REDIS) => {
    expect(await lines(rdb(magic, [records, KEY]), true)).toBe(`${JSON.stringify(want)}\n${KEY_JSON.replace('0', `${(want as { db?: number }).db ?? 0}`)}`);
  });

  test('every row of the table of opcodes has a file here', () => {
    const tested = [242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255];
    for (const { opcodes } of Object.values(TABLES)) {
      expect(opcodes.flatMap((entry) => (entry === undefined || tested.includes(entry.id) ? [] : [entry.name]))).toEqual([]);
    }
  });

  test('an expiry belongs to the next key alone, also when that comes in parts', async () => {
    const file = rdb(REDIS, [0xfc, le(MS, 8), 0xf8, 5, 0xf9, 6, 0xf3, 1, SPEC, 0, 0, str('big'), str(LONG), KEY]);
    expect((await lines(file)).split('\n')[1]).toBe(KEY_JSON.trim());
  });
});

describe('keys', () => {
  test.each<[name: string, key: Part, want: string]>([
    ['an integer of 1 byte', intStr(-7, 1), '"-7"'],
    ['an integer of 2 bytes', intStr(30000, 2), '"30000"'],
    ['an integer of 4 bytes', intStr(2147483647, 4), '"2147483647"'],
    ['LZF', lzfStr('key '.repeat(30)), `"${'key '.repeat(30)}"`],
    ['empty', str(), '""'],
    ['binary', str(0x80), '"base64:gA=="'],
    ['that begins like base64', str('base64:'), '"base64:YmFzZTY0Og=="'],
    ['__proto__', str('__proto__'), '"__proto__"'],
    ['a length in 8 bytes', [len(3, 9), 'key'], '"key"'],
    ['larger than the limit', str('k'.repeat(5000)), `"${'k'.repeat(5000)}"`],
  ])('%s', async (_, key, want) => {
    const file = rdb(REDIS, [0, key, str('v'), 1, key, loop(str('a'.repeat(100)), str('b'))]);
    expect(await lines(file)).toBe(
      `{"db":0,"key":${want},"type":"string","value":"v"}\n{"db":0,"key":${want},"type":"list","value":["${'a'.repeat(100)}","b"]}\n`,
    );
  });
});

describe('versions and vendors', () => {
  test.each(['REDIS0001', 'REDIS0004', 'REDIS0005', 'REDIS0006', 'REDIS0009', 'REDIS0011', 'REDIS0015', 'VALKEY080', 'VALKEY081'])('%s is read', async (magic) => {
    const { lines: text, warnings, framer } = await decodeBytes(rdb(magic, [KEY]), { strict: true });
    expect(text).toBe(KEY_JSON);
    expect(warnings).toEqual([]);
    expect(framer.version).toBe(Number(magic.slice(-3)));
    expect(framer.checksum).toBe(framer.version < 5 ? 'none' : 'ok');
  });

  test.each(['REDIS0018', 'REDIS0080', 'REDIS9999', 'VALKEY082', 'VALKEY999'])('%s is read with a warning, or refused', async (magic) => {
    const file = rdb(magic, [KEY]);
    const { lines: text, warnings } = await decodeBytes(file, { chunks: 1 });
    expect(text).toBe(KEY_JSON);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`version ${Number(magic.replace(/\D/g, ''))} is newer`);
    expect(await outcome(file, { strict: true })).toMatch(/^UNSUPPORTED_VERSION/);
  });

  test.each(['REDIS0000', 'REDIS00x1', 'redis0011', 'VALKEY000', 'VALKEY80x', 'DRAGONFLY', '\u001f\u008b       '])('%j is no RDB', async (magic) => {
    expect(await outcome(bytes(magic, KEY, 255, le(0, 8)))).toBe('NOT_RDB at 0 db undefined key undefined');
  });

  test('nothing at all is no RDB either', async () => {
    expect(await outcome(new Uint8Array(0))).toBe('EMPTY_INPUT at 0 db undefined key undefined');
  });

  test('22 and 243 are what the vendor means by them', async () => {
    const hash2: Part = [22, str('k'), loop([str('f'), str('v'), le(-1, 8)])];
    const preGa: Part = [22, str('k'), loop([len(0), str('f'), str('v')])];
    const want = '{"db":0,"key":"k","type":"hash","value":{"f":"v"}}\n';
    expect(await lines(rdb('REDIS0012', [preGa]))).toBe(want);
    expect(await lines(rdb('VALKEY080', [hash2]))).toBe(want);
    expect(await lines(rdb('REDIS0011', [0xfa, str('valkey-ver'), str('9.0.0'), hash2]))).toBe(want);
    expect(await lines(rdb('REDIS0012', [0xfa, str('redis-ver'), str('8.0.0'), preGa]))).toBe(want);
    expect(await lines(rdb('VALKEY080', [0xf3, str('job'), 1, 0, 1, hash2]))).toBe(want);
    expect(await lines(rdb('REDIS0013', [0xf3, 0, preGa]))).toBe(want.replace(',"value"', ',"keyMeta":[],"value"'));
  });

  const NO_KEY = 'db undefined key undefined';
  test.each<[name: string, magic: string, byte: number, code: string, place: string]>([
    ['6, module values before 4.0', REDIS, 6, 'UNSUPPORTED_TYPE', 'db 0 key k'],
    ['8', REDIS, 8, 'UNKNOWN_OPCODE', NO_KEY],
    ['36', REDIS, 36, 'UNKNOWN_OPCODE', NO_KEY],
    ['241', REDIS, 241, 'UNKNOWN_OPCODE', NO_KEY],
    ['23 in Valkey', VALKEY, 23, 'UNSUPPORTED_TYPE', 'db 0 key k'],
    ['24 in Valkey', VALKEY, 24, 'UNKNOWN_OPCODE', 'db 0 key k'],
    ['242 in Valkey', VALKEY, 242, 'UNKNOWN_OPCODE', NO_KEY],
  ])('%s is refused where it stands', async (_, magic, byte, code, place) => {
    const file = rdb(magic, [KEY, byte, str('k'), str('v')]);
    expect(await lines(file)).toBe(`${code} at ${9 + bytes(KEY).length} ${place}`);
  });
});

describe('the checksum', () => {
  test('wrong', async () => {
    const file = rdb(REDIS, [KEY], false);
    expect(await lines(file)).toBe(`CHECKSUM at ${file.length - 8} db undefined key undefined`);
    expect(await outcome(file, { checksum: false })).toBe(KEY_JSON);
  });

  test('not made, and not looked at', async () => {
    expect((await decodeBytes(rdb(REDIS, [KEY], 0))).framer.checksum).toBe('none');
    expect((await decodeBytes(rdb(REDIS, [KEY]), { checksum: false })).framer.checksum).toBe('none');
  });

  test('bytes behind the end are left for the caller', async () => {
    const { framer } = await decodeBytes(bytes(rdb(REDIS, [KEY]), 'rest'));
    expect(Buffer.from(framer.rest()).toString()).toBe('rest');
    expect((await decodeBytes(bytes(rdb('REDIS0004', [KEY]), 'rest'))).framer.rest()).toHaveLength(4);
  });
});

/** Texts over the limit: plain, compressible, with characters that a piece may cut, binary from the first or at the last byte. */
const BIG: readonly (readonly [name: string, raw: Uint8Array])[] = [
  ['plain', bytes('0123456789 "\\\n'.repeat(60))],
  ['repetitive', bytes('a'.repeat(3000))],
  ['of longer characters', bytes('\u20ac\u{1f600}\u00e9'.repeat(100))],
  ['binary at once', bytes(0xff, 'x'.repeat(500))],
  ['binary at the end', bytes('y'.repeat(500), 0xe2, 0x82)],
  ['binary in the middle', bytes('z'.repeat(300), 0xed, 0xa0, 0x80, 'z'.repeat(301))],
  ['that claims base64', bytes('base64:', 'w'.repeat(302))],
  ['that does not quite', bytes('base64', 'w'.repeat(303))],
];

/** Where a large string can stand. */
const PLACES: [place: string, record: (big: Part) => Part, magic?: string][] = [
  ['string value', (big) => [0, str('k'), big]],
  ['list item', (big) => [1, str('k'), loop(str('a'), big, big, str('b'))]],
  ['only list item', (big) => [1, str('k'), loop(big)]],
  ['set member', (big) => [2, str('k'), loop(big, str('a'))]],
  ['zset member, score as text', (big) => [3, str('k'), loop([big, 3, '1.5'], [str('m'), 254])]],
  ['zset member', (big) => [5, str('k'), loop([str('m'), f64(1)], [big, f64(2.5)], [str('n'), f64(3)])]],
  ['hash field', (big) => [4, str('k'), loop([str('a'), str('b')], [big, str('c')])]],
  ['hash value', (big) => [4, str('k'), loop([str('a'), big], [str('b'), str('c')])]],
  ['hash field and value', (big) => [4, str('k'), loop([big, big], [str('b'), big])]],
  ['HASH_METADATA field and value', (big) => [24, str('k'), le(MS, 8), loop([len(1), big, big], [len(0), str('f'), big], [len(9), str('g'), str('h')])]],
  ['HASH_METADATA_PRE_GA value', (big) => [22, str('k'), loop([len(MS), str('f'), big], [len(0), big, str('h')])]],
  ['HASH_2 field', (big) => [22, str('k'), loop([big, str('v'), le(MS, 8)], [str('g'), str('h'), le(-1, 8)])], VALKEY],
  ['HASH_2 value', (big) => [22, str('k'), loop([str('f'), big, le(MS, 8)], [str('g'), big, le(-1, 8)], [big, big, le(MS, 8)])], VALKEY],
  ['module string', (big) => [7, str('k'), MODULE_ID, 2, 5, 5, big, 5, str('x'), 5, big, 4, f64(1), 0]],
  ['quicklist plain node', (big) => [18, str('k'), loop([2, str(listpack(['a']))], [1, big], [1, big], [2, str(listpack(['b']))])]],
  ['array element', (big) => [28, str('k'), 2, 1, 9, 0, 0, big, 5, 0, str('x')]],
  ['template array value', (big) => [TEMPLATE, 32, str('k'), 3, str('a'), big, str('c')]],
  ['template name', (big) => [31, str('k'), 1, loop(str('a'), big), str('v'), big]],
  ['stream group and consumer name', (big) => [21, str('k'), len(0), len(0), idLen(1, 1), OFFSETS, loop([big, idLen(0, 0), len(0), len(0), loop([big, le(1, 8), le(-1, 8), len(0)])])]],
  ['producer', (big) => [26, str('k'), len(0), len(0), idLen(1, 1), OFFSETS, len(0), len(600), len(100), loop([big, loop([big, idLen(1, 1)])]), len(0), len(0)]],
];

describe('strings over the limit', () => {
  describe.each(PLACES)('%s', (...[, record, magic = REDIS]) => {
    test.each(BIG)('%s', async (__, raw) => {
      const plain = await lines(rdb(magic, [0xfc, le(MS, 8), record(str(raw)), AFTER]));
      expect(plain.endsWith(AFTER_JSON)).toBe(true);
      expect(plain).toMatch(/^\{"db":0,"key":"k",.*\}\n/);
      expect(await lines(rdb(magic, [0xfc, le(MS, 8), record(lzfStr(raw)), AFTER]))).toBe(plain);
    });
  });

  const MANY = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? BigInt(i) * 1_000_003n : `element ${i}`));
  const ITEMS = JSON.stringify(MANY.map(String));
  const PAIRS = `{${MANY.flatMap((item, i) => (i % 2 === 0 ? [`"${item}":"${MANY[i + 1]}"`] : [])).join()}}`;
  const scored = MANY.flatMap((_, i) => [`m${i}`, i % 2 === 0 ? BigInt(i) : `${i}.25`]);
  const SCORES = `{${MANY.map((_, i) => `"m${i}":${i % 2 === 0 ? i : `${i}.25`}`).join()}}`;
  const expiring = MANY.flatMap((item, i) => [`f${i}`, item, i % 2 === 0 ? 0n : BigInt(MS + i)]);
  const EXPIRING = `{${MANY.map((item, i) => (i % 2 === 0 ? `"f${i}":"${item}"` : `"f${i}":{"value":"${item}","expireAt":${MS + i}}`)).join()}}`;
  const numbers = [2, 4, 8].map((width) => Array.from({ length: 100 }, (_, i) => BigInt(i - 50) * 2n ** BigInt(8 * width - 7)));

  test.each<[name: string, id: number, blob: Uint8Array, wrap: (blob: Part) => Part, want: string]>([
    ['ziplist list', 10, ziplist(MANY), (blob) => blob, ITEMS],
    ['ziplist hash', 13, ziplist(MANY, true), (blob) => blob, PAIRS],
    ['ziplist zset', 12, ziplist(scored), (blob) => blob, SCORES],
    ['ziplist of unknown count', 10, ziplist(MANY, false, 65535), (blob) => blob, ITEMS],
    ['listpack set', 20, listpack(MANY), (blob) => blob, ITEMS],
    ['listpack hash', 16, listpack(MANY), (blob) => blob, PAIRS],
    ['listpack zset', 17, listpack(scored), (blob) => blob, SCORES],
    ['listpack of unknown count', 20, listpack(MANY, false, 65535), (blob) => blob, ITEMS],
    ['listpack with expiries', 25, listpack(expiring), (blob) => [le(MS, 8), blob], EXPIRING],
    ['listpack with expiries, pre-GA', 23, listpack(expiring), (blob) => blob, EXPIRING],
    ['zipmap', 9, zipmap(MANY.flatMap((item, i) => (i % 2 === 0 ? [[String(item), String(MANY[i + 1])] as const] : [])), 9), (blob) => blob, PAIRS],
    ...numbers.map((items, i): [string, number, Uint8Array, (blob: Part) => Part, string] => [`intset ${2 ** (i + 1)}`, 11, intset(2 ** (i + 1) as 2, items), (blob) => blob, JSON.stringify(items.map(String))]),
    ['quicklist node', 14, ziplist(MANY), (blob) => loop(str(ziplist(['a'])), blob, blob), `["a",${ITEMS.slice(1, -1)},${ITEMS.slice(1)}`],
    ['quicklist 2 node', 18, listpack(MANY), (blob) => loop([2, blob], [1, str('p')], [2, blob]), `[${ITEMS.slice(1, -1)},"p",${ITEMS.slice(1)}`],
    ['template values', 29, listpack([0n, ...MANY]), (blob) => [1, loop(...MANY.map((_, i) => str(`m${i}`))), blob], `{${MANY.map((item, i) => `"m${i}":"${item}"`).join()}}`],
    ['template names', 31, listpack(MANY), (blob) => [0, blob, ...MANY.map(() => str('v'))], `{${MANY.map((item) => `"${item}":"v"`).join()}}`],
    [
      'stream nodes',
      15,
      listpack([30n, 0n, 1n, 'f', 0n, ...MANY.slice(0, 30).flatMap((item, i) => [2n, BigInt(i), 0n, item, 4n])]),
      (blob) => [loop([str(id(5, 5)), blob], [lzfStr(id(0, 0)), blob]), len(60), idLen(9, 9), len(0)],
      `{"entries":[${[[5, 5], [0, 0]].flatMap(([ms, seq]) => MANY.slice(0, 30).map((item, i) => `{"id":"${(ms) + i}-${seq}","fields":["f","${item}"]}`)).join()}],"length":60,"lastId":"9-9","groups":[]}`,
    ],
  ])('packed: %s', async (_, type, blob, wrap, want) => {
    expect(blob.length).toBeGreaterThan(200);
    for (const packed of [str(blob), lzfStr(blob)]) {
      const text = await lines(rdb(REDIS, [type, str('k'), wrap(packed), AFTER]));
      expect(text.split('\n')[0]).toMatch(/^\{"db":0,"key":"k","type":"[a-z]+","value":/);
      expect(text.slice(text.indexOf('"value":') + 8)).toBe(`${want}}\n${AFTER_JSON}`);
    }
  });

  test.each<[name: string, id: number, blob: Uint8Array, code: string]>([
    ['ziplist', 10, ziplist(MANY, false, MANY.length - 1), 'BAD_ZIPLIST'],
    ['listpack', 20, listpack(MANY, false, MANY.length + 1), 'BAD_LISTPACK'],
    ['zipmap', 9, zipmap(MANY.map((item) => [String(item), 'v'] as const)).fill(59, 0, 1), 'BAD_ZIPMAP'],
    ['intset', 11, intset(8, numbers[2]).fill(99, 4, 5), 'BAD_INTSET'],
    ['listpack hash, one value short', 16, listpack(MANY.slice(1)), 'BAD_LISTPACK'],
    ['listpack without an end', 20, listpack(MANY).fill(0, -1), 'BAD_LISTPACK'],
  ])('packed and wrong: %s', async (_, type, blob, code) => {
    for (const packed of [str(blob), lzfStr(blob)]) {
      for (const way of WAYS) expect(await outcome(rdb(REDIS, [type, str('k'), packed]), way)).toMatch(`${code} at 12 db 0 key k`);
    }
  });

  // The output is handed on in pieces of a megabyte, which must never happen between a value and the expiry behind it.
  test.each<[name: string, magic: string, record: (n: number) => Part]>([
    ['HASH_2', VALKEY, (n) => [22, str('k'), loop(...Array.from({ length: n }, (_, i) => [str(`field ${i}`), str(`value ${i}`), le(MS + i, 8)]))]],
    ['HASH_LISTPACK_EX', REDIS, (n) => [25, str('k'), le(MS, 8), str(listpack(Array.from({ length: n }, (_, i) => [`field ${i}`, `value ${i}`, BigInt(MS + i)]).flat(), false, 65535))]],
    ['HASH_METADATA', REDIS, (n) => [24, str('k'), le(MS, 8), loop(...Array.from({ length: n }, (_, i) => [len(i + 1), str(`field ${i}`), str(`value ${i}`)]))]],
  ])('%s of many megabytes of lines', async (_, magic, record) => {
    const count = 80_000;
    const file = rdb(magic, [record(count)]);
    const want = Array.from({ length: count }, (__, i) => `"field ${i}":{"value":"value ${i}","expireAt":${MS + i}}`).join();
    for (const [limit, codec] of thinned([[64, false], [1000, false], [100_000_000, false], [1000, true], [100_000_000, true]] as const)) {
      expect((await outcome(file, { limit, codec, chunks: 65_536 })) === `{"db":0,"key":"k","type":"hash","value":{${want}}}\n`, `limit ${limit}`).toBe(true);
    }
  });
});

describe('errors say where', () => {
  test.each<[name: string, record: Part, code: string]>([
    ['listpack', [20, str('k'), str(listpack(['a', 'b'], false, 3))], 'BAD_LISTPACK'],
    ['ziplist', [10, str('k'), str(ziplist(['a', 'b'], false, 3))], 'BAD_ZIPLIST'],
    ['zipmap', [9, str('k'), str(bytes(2, 1, 'f', 1, 0, 'v', 255))], 'BAD_ZIPMAP'],
    ['intset', [11, str('k'), str(bytes(le(3, 4), le(1, 4), 1, 2, 3))], 'BAD_INTSET'],
    ['hash', [16, str('k'), str(listpack(['a']))], 'BAD_LISTPACK'],
    ['quicklist', [18, str('k'), 1, 3, str(listpack(['a']))], 'BAD_QUICKLIST'],
    ['LZF', [0, str('k'), 0xc3, 2, 5, 0x20, 0], 'BAD_LZF'],
    ['score', [17, str('k'), str(listpack(['a', 'b']))], 'BAD_NUMBER'],
    ['stream key', [15, str('k'), loop([str('short'), str(listpack([]))]), len(0), idLen(0, 0), len(0)], 'BAD_STREAM'],
    ['module', [7, str('k'), MODULE_ID, 6, 0], 'BAD_MODULE'],
    ['module opcode in more bytes', [7, str('k'), MODULE_ID, len(2, 2), 7, 0], 'BAD_MODULE'],
    ['template', [32, str('k'), 9, str('v')], 'BAD_TEMPLATE'],
    ['template, too few values', [TEMPLATE, 30, str('k'), str(listpack([3n, 'v']))], 'BAD_TEMPLATE'],
    ['field expiry that is text', [25, str('k'), le(0, 8), str(listpack(['f', 'v', 'soon']))], 'BAD_HASH'],
    ['field expiry beyond any time', [24, str('k'), le(2n ** 62n, 8), loop([len(2n ** 62n), str('f'), str('v')])], 'BAD_HASH'],
    ['field expiry before any time', [24, str('k'), le(-5, 8), loop([len(1), str('f'), str('v')])], 'BAD_HASH'],
    ['array tag', [28, str('k'), 1, 0, 0, 4, str('x')], 'BAD_LENGTH'],
  ])('%s', async (_, record, code) => {
    const file = rdb(REDIS, [0xfe, 7, record, AFTER]);
    for (const chunks of [file.length, 1, 5]) expect(await outcome(file, { chunks })).toMatch(new RegExp(`^${code} at \\d+ db 7 key k$`));
    const places = await Promise.all([1, 2, 3, 1000].map((chunks) => outcome(file, { chunks })));
    expect(new Set(places).size).toBe(1);
    expect(await outcome(file, { limit: 64, chunks: 1 })).toMatch(code);
  });

  test.each<[name: string, records: Part]>([
    ['a database number that no server has', [0xfe, len(2 ** 40)]],
    ['an idle time beyond 2^53', [0xf8, len(2n ** 60n)]],
    ['a count beyond 2^40', [1, str('k'), len(2 ** 41)]],
    ['a length in a form that does not exist', [0xfe, 0x82]],
  ])('%s', async (_, records) => {
    expect(await lines(rdb(REDIS, [records, KEY]))).toMatch(/^BAD_LENGTH at \d+/);
  });
});
