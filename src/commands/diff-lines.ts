import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { decodeUtf8, parseText } from '../bytes/text.js';
import { KeyList } from '../diff/key-list.js';
import { MAX_DB } from '../rdb/opcodes.js';

/** A file that is no list of differences, or cannot be read. */
export class ListError extends Error {
  override readonly name = 'ListError';
}

/** The keys of an earlier comparison. */
export interface ListedKeys {
  readonly keys: KeyList;
  /** Whether other values were found. */
  readonly hasValues: boolean;
}

/** Reads the keys of JSON lines that a comparison wrote. Throws ListError. */
export async function readDifferences(path: string): Promise<ListedKeys> {
  const keys = new KeyList();
  let hasValues = false;
  let number = 0;
  const input = createReadStream(path, 'latin1');
  const lines = createInterface({ input, crlfDelay: Infinity });
  const failed = new Promise<never>((_, reject) => input.once('error', reject));
  failed.catch(() => undefined); // it is thrown where lines are read
  const all = lines[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([all.next(), failed]);
      if (next.done === true) return { keys, hasValues };
      number++;
      if (next.value.trim() === '') continue;
      const { db, key, kinds } = differenceOf(next.value);
      if (keys.add(db, key) < 0) throw new TypeError('more keys than fit in memory: compare with a filter instead');
      hasValues ||= kinds.includes('value');
    }
  } catch (error) {
    if (error instanceof TypeError) throw new ListError(`line ${number}: ${error.message}`, { cause: error });
    throw new ListError(error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    lines.close();
    input.destroy();
  }
}

/** Throws TypeError. */
function differenceOf(latin1: string): { db: number; key: Uint8Array; kinds: readonly unknown[] } {
  const expected = 'expected a difference as diff writes it with --format json, like {"db":0,"key":"a","kinds":["missing"]}';
  const found = parsed(latin1);
  if (typeof found !== 'object' || found === null) throw new TypeError(expected);
  const { db, key, kinds } = found as Readonly<Record<string, unknown>>;
  if (typeof key !== 'string' || !Array.isArray(kinds)) throw new TypeError(expected);
  if (typeof db !== 'number' || !Number.isInteger(db) || db < 0 || db > MAX_DB) throw new TypeError(expected);
  return { db, key: parseText(key), kinds };
}

/** The text of a line, of which each byte is a character. */
function parsed(latin1: string): unknown {
  const text = decodeUtf8(Buffer.from(latin1, 'latin1'));
  if (text === undefined) throw new TypeError('it is not UTF-8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`it is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
