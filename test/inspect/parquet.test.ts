import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { formatText } from '../../src/bytes/text.js';
import { Interruption } from '../../src/cli/exit.js';
import { ENCODINGS } from '../../src/inspect/measures.js';
import { ParquetRows } from '../../src/inspect/parquet.js';
import { FIXTURE, Folder, lines, rdbkit } from '../support/cli-support.js';
import { literal, query } from '../support/duckdb.js';
import { type Row, table } from '../support/key-rows.js';

const folder = new Folder();
afterAll(() => folder.remove());
const SERVERS = join(import.meta.dirname, '../../fixtures/servers');

let files = 0;
/** The name in SQL of a file with these keys. */
async function file(rows: Iterable<Row>): Promise<string> {
  return literal(folder.file(`${files++}.parquet`, await table((sink) => new ParquetRows(sink), rows)));
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  0: 'string',
  5: 'zset',
  7: 'module',
  15: 'stream',
  24: 'hash',
  28: 'array',
  33: 'bitmap',
};
const EARLIEST = -62_135_596_800_000n;
const LATEST = 253_402_300_799_999n;

const key = (text: string): Row => ({ key: Buffer.from(text) });

/** What DuckDB should read. */
const expected = (row: Row): object => ({
  db: row.db ?? 0,
  key: formatText(row.key),
  type: TYPE_NAMES[row.type ?? 0],
  encoding: row.encoding ?? 'raw',
  slot: keySlot(row.key),
  bytes: BigInt(row.bytes ?? 0),
  memory: BigInt(row.memory ?? 0),
  elements: BigInt(row.elements ?? 0),
  largest: BigInt(row.largest ?? 0),
  expire_at: row.expireAt === undefined ? null : row.expireAt < EARLIEST ? EARLIEST : row.expireAt > LATEST ? LATEST : row.expireAt,
  idle: row.idle === undefined ? null : BigInt(row.idle),
  freq: row.freq ?? null,
  shard: row.source ?? 'dump.rdb',
});

test('the columns have their types', async () => {
  const described = await query<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${await file([key('a')])}`);
  expect(described.map((column) => `${column.column_name} ${column.column_type}`)).toEqual([
    'db INTEGER',
    'key VARCHAR',
    'type VARCHAR',
    'encoding VARCHAR',
    'slot INTEGER',
    'bytes BIGINT',
    'memory BIGINT',
    'elements BIGINT',
    'largest BIGINT',
    'expire_at TIMESTAMP WITH TIME ZONE',
    'idle BIGINT',
    'freq INTEGER',
    'shard VARCHAR',
  ]);
});

test('without keys it is a table with no rows', async () => {
  expect(await query(`SELECT count(*) AS rows FROM ${await file([])}`)).toEqual([{ rows: 0n }]);
});

const number = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));
const keys: fc.Arbitrary<Row> = fc.record(
  {
    key: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.string({ unit: 'binary' }).map((text) => new Uint8Array(Buffer.from(text))),
    ),
    db: fc.nat(15),
    type: fc.constantFrom(...Object.keys(TYPE_NAMES).map(Number)),
    encoding: fc.constantFrom(...ENCODINGS),
    bytes: number,
    memory: number,
    elements: number,
    largest: number,
    expireAt: fc.oneof(fc.bigInt({ min: EARLIEST, max: LATEST }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    idle: number,
    freq: fc.nat(255),
    source: fc.constantFrom('a.rdb', 'größe.rdb', ''),
  },
  { requiredKeys: ['key'] },
);

test('DuckDB reads any keys back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(keys, { minLength: 1, maxLength: 100 }), async (rows) => {
      const wanted = rows.map(expected);
      expect(await query(`SELECT * REPLACE (epoch_ms(expire_at) AS expire_at) FROM ${await file(rows)}`)).toEqual(wanted);
    }),
    { numRuns: 50 },
  );
});

test.each(['missing', 'present', 'mixed'])('a column whose values are %s', async (values) => {
  const has = (i: number): boolean => values === 'present' || (values === 'mixed' && i % 3 === 0);
  const rows = Array.from({ length: 1001 }, (_, i): Row => ({
    ...key(`k${i}`),
    ...(has(i) ? { freq: i % 200, expireAt: BigInt(i * 1e9), idle: i } : {}),
  }));
  const wanted = rows.map(expected);
  expect(await query(`SELECT * REPLACE (epoch_ms(expire_at) AS expire_at) FROM ${await file(rows)}`)).toEqual(wanted);
});

test('row groups follow one another, with bounds that queries can rely on', async () => {
  const count = 250_000;
  const sums = { memory: 0n, bytes: 0n, slot: 0n };
  const path = await file(
    (function* (): Generator<Row> {
      for (let i = 0; i < count; i++) {
        const row = {
          ...key(`user:${i}`),
          memory: i * 64,
          bytes: i % 20_000,
          elements: i % 16_384,
          largest: i % 16_385,
          source: `${i >> 17}.rdb`,
        };
        sums.memory += BigInt(row.memory);
        sums.bytes += BigInt(row.bytes);
        sums.slot += BigInt(keySlot(row.key));
        yield row;
      }
    })(),
  );
  const [found] = await query(
    `SELECT count(*) AS rows, count(DISTINCT key) AS keys, sum(memory)::BIGINT AS memory, sum(bytes)::BIGINT AS bytes, sum(slot)::BIGINT AS slot,
      count_if(elements = memory // 64 % 16384 AND largest = memory // 64 % 16385 AND key = 'user:' || memory // 64) AS right
      FROM ${path}`,
  );
  expect(found).toEqual({ rows: BigInt(count), keys: BigInt(count), ...sums, right: BigInt(count) });
  expect(await query(`SELECT row_group_num_rows AS rows FROM parquet_metadata(${path}) WHERE path_in_schema = 'key'`)).toEqual(
    [100_000n, 100_000n, 50_000n].map((rows) => ({ rows })),
  );
  expect(await query(`SELECT key FROM ${path} WHERE memory = ${64 * 123_456}`)).toEqual([{ key: 'user:123456' }]);
  expect(await query(`SELECT count(*) AS rows FROM ${path} WHERE shard = '1.rdb'`)).toEqual([{ rows: BigInt(count - (1 << 17)) }]);
  expect(
    await query(
      `SELECT DISTINCT stats_min_value AS min, stats_max_value AS max FROM parquet_metadata(${path}) WHERE path_in_schema = 'slot'`,
    ),
  ).toEqual([{ min: '0', max: '16383' }]);
  expect(
    await query(`SELECT DISTINCT compression, stats_max_value AS max FROM parquet_metadata(${path}) WHERE path_in_schema = 'key'`),
  ).toEqual([{ compression: 'GZIP', max: null }]);
});

test('more texts than a dictionary has', async () => {
  const rows = Array.from({ length: 20_000 }, (_, i): Row => ({ ...key(`k${i}`), source: `${i}.rdb` }));
  expect(await query(`SELECT count(*) AS rows, count(DISTINCT shard) AS shards, max(shard) AS last FROM ${await file(rows)}`)).toEqual([
    { rows: 20_000n, shards: 20_000n, last: '9999.rdb' },
  ]);
});

test('keys of megabytes end a row group', async () => {
  const rows = Array.from({ length: 20 }, (_, i): Row => ({ key: new Uint8Array(1 << 20).fill(0xe0 + i) }));
  const path = await file(rows);
  expect(await query(`SELECT count(*) AS rows, min(length(key)) AS least FROM ${path}`)).toEqual([{ rows: 20n, least: 1_398_111n }]);
  expect(await query(`SELECT max(row_group_id) AS last FROM parquet_metadata(${path})`)).toEqual([{ last: 1n }]);
});

const SOURCES = ['redis-7.0.15.rdb', 'redis-6.2.14-lru.rdb', 'redis-4.0.14-lfu.rdb', 'valkey-9.1.2.rdb', 'redis-7.4.1-modules.rdb'].map(
  (name) => join(SERVERS, name),
);

test('sums over several sources are those of the report, of the CSV, and of decode', async () => {
  const [csv, parquet] = [folder.at('all.csv'), folder.at('all.parquet')];
  const { code, out } = await rdbkit(['inspect', ...SOURCES, '--csv', csv, '--parquet', parquet, '--format', 'json', '-q']);
  expect(code).toBe(0);
  const { sources, totals } = JSON.parse(out) as Record<'sources' | 'totals', Sums & Sums[]>;
  const select =
    'count(*) AS keys, sum(bytes)::DOUBLE AS bytes, sum(memory)::DOUBLE AS memory, sum(elements)::DOUBLE AS elements, count(expire_at) AS "withExpiry"';
  const [whole] = await query(`SELECT ${select} FROM ${literal(parquet)}`);
  expect(numbers(whole)).toEqual(pick(totals));
  const numbered = `read_parquet(${literal(parquet)}, file_row_number = true)`;
  const byShard = await query(`SELECT shard, ${select} FROM ${numbered} GROUP BY shard ORDER BY min(file_row_number)`);
  expect(byShard.map(({ shard, ...rest }) => [shard, numbers(rest)])).toEqual(sources.map((source) => [source.name, pick(source)]));
  expect(
    await query(`
      SELECT db, replace(type, 'zset', 'sortedset'), key, memory, elements, largest, expire_at::TIMESTAMP FROM ${literal(parquet)} EXCEPT ALL
      SELECT database, type, key, size_in_bytes, num_elements, len_largest_element, expiry FROM read_csv(${literal(csv)},
        columns = {database: 'INTEGER', type: 'VARCHAR', key: 'VARCHAR', size_in_bytes: 'BIGINT', encoding: 'VARCHAR', num_elements: 'BIGINT',
          len_largest_element: 'BIGINT', expiry: 'TIMESTAMP'}, header = true, delim = ',', quote = '"', escape = '"', new_line = '\\n')`),
  ).toEqual([]);
  const decoded = folder.file('all.jsonl', (await rdbkit(['decode', ...SOURCES, '-q'])).out);
  const keysOf = (from: string): string =>
    `SELECT count(*) AS keys, sum(db)::DOUBLE AS dbs, count(DISTINCT (db, key)) AS names, sum(length(key))::DOUBLE AS letters FROM ${from}`;
  const json = `read_json(${literal(decoded)}, format = 'newline_delimited', columns = {db: 'INTEGER', key: 'VARCHAR'}, maximum_object_size = 100000000)`;
  expect(await query(keysOf(literal(parquet)))).toEqual(await query(keysOf(json)));
});

interface Sums {
  readonly name: string;
  readonly keys: number;
  readonly bytes: number;
  readonly memory: number;
  readonly elements: number;
  readonly withExpiry: number;
}
const pick = ({ bytes, elements, keys: count, memory, withExpiry }: Sums): object => ({ keys: count, bytes, memory, elements, withExpiry });
const numbers = (row: Record<string, unknown>): object =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]));

test('idle times and frequencies are those of the files', async () => {
  const path = folder.at('clocks.parquet');
  await rdbkit(['inspect', ...SOURCES.slice(1, 3), '--parquet', path, '-q']);
  const decoded = lines((await rdbkit(['decode', ...SOURCES.slice(1, 3), '-q'])).out) as unknown as { idle?: number; freq?: number }[];
  expect(await query(`SELECT idle, freq FROM ${literal(path)}`)).toEqual(
    decoded.map(({ freq, idle }) => ({ idle: idle === undefined ? null : BigInt(idle), freq: freq ?? null })),
  );
});

test('what is left of a damaged file is a whole table of the keys before', async () => {
  const cut = folder.file('cut.rdb', readFileSync(FIXTURE).subarray(0, 200_000));
  const path = folder.at('cut.parquet');
  const { code, err } = await rdbkit(['inspect', cut, '--parquet', path, '-q']);
  expect([code, err]).toEqual([3, expect.stringContaining(`${path}.partial.`)]);
  const decoded = lines((await rdbkit(['decode', cut, '-q'])).out);
  expect(decoded.length).toBeGreaterThan(20);
  expect(await query(`SELECT key FROM read_parquet(${literal(`${path}.partial`)})`)).toEqual(
    decoded.map(({ key: name }) => ({ key: name })),
  );
});

test('Ctrl-C leaves a whole table of the keys before it', async () => {
  const path = folder.at('stopped.parquet');
  const controller = new AbortController();
  const stdin = Readable.from(
    (async function* () {
      yield readFileSync(FIXTURE).subarray(0, 200_000);
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.abort(new Interruption('SIGINT'));
      await new Promise((resolve) => setTimeout(resolve, 1000));
    })(),
  );
  const { code } = await rdbkit(['inspect', '-', '--parquet', path, '-q'], { stdin, signal: controller.signal });
  expect(code).toBe(130);
  const decoded = lines((await rdbkit(['decode', FIXTURE, '-q'])).out).map(({ key: name }) => ({ key: name }));
  const found = await query(`SELECT key FROM read_parquet(${literal(`${path}.partial`)})`);
  expect(found.length).toBeGreaterThan(10);
  expect(found).toEqual(decoded.slice(0, found.length));
});

test('the queries in the docs run', async () => {
  const [csv, parquet] = [folder.at('docs.csv'), folder.at('docs.parquet')];
  await rdbkit(['inspect', ...SOURCES, '--csv', csv, '--parquet', parquet, '-q']);
  const page = readFileSync(join(import.meta.dirname, '../../docs/inspect-tables.md'), 'utf8');
  const queries = [...page.matchAll(/```sql\n([^]*?)```/g)].map(([, sql]) => sql);
  expect(queries.length).toBeGreaterThan(6);
  for (const sql of queries) {
    const here = sql.replace(/'keys.parquet'|'shards\/\*.parquet'/, literal(parquet)).replace("'keys.csv'", literal(csv));
    expect([sql, (await query(here)).length]).toEqual([sql, expect.toSatisfy((rows: number) => rows > 0)]);
  }
});
