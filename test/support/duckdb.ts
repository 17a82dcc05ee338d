import { createRequire } from 'node:module';
import { join } from 'node:path';

/** As much of @duckdb/node-api as the tests need. */
interface Api {
  readonly DuckDBInstance: { create(path: string): Promise<{ connect(): Promise<Connection> }> };
}
interface Connection {
  runAndReadAll(sql: string): Promise<{ getRowObjectsJS(): Record<string, unknown>[] }>;
}

const packages = createRequire(join(import.meta.dirname, '../duckdb/package.json'));

async function connect(): Promise<Connection> {
  let path: string;
  try {
    path = packages.resolve('@duckdb/node-api');
  } catch (error) {
    throw new Error('DuckDB is missing: run `npm ci --prefix test/duckdb`', { cause: error });
  }
  const { DuckDBInstance } = (await import(path)) as Api;
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.runAndReadAll("SET TimeZone = 'UTC'");
  return connection;
}

let connection: Promise<Connection> | undefined;

/** The rows that a query gives: BIGINT as bigint, times as Date. */
export async function query<T = Record<string, unknown>>(sql: string): Promise<T[]> {
  const result = await (await (connection ??= connect())).runAndReadAll(sql);
  return result.getRowObjectsJS() as T[];
}

/** A text in SQL. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
