import { RdbError } from '../bytes/errors.js';
import { formatText } from '../bytes/text.js';
import { Element } from '../encodings/element.js';
import { isRdb, latin } from '../rdb/beginning.js';
import { readString, Scratch } from '../rdb/string.js';

/** Where a copy by replication stands in the history of its server. */
export interface CopyPosition {
  /** `host:port` of the server that sends it. */
  readonly node: string;
  /** Id of the history. */
  readonly id: string;
  /** Offset of the last write that is in the copy. */
  readonly offset: number;
}

/** The same, as the copy itself says it. */
export interface ExactPosition extends CopyPosition {
  /** The database that the stream of writes goes on in, unless it says otherwise. */
  readonly db: number;
}

/** Bytes of an RDB within which it says where it stands: servers write that first (redis rdb.c, rdbSaveInfoAuxFields). */
const MOST = 4096;
const HEADER = 9;
const AUX = 0xfa;

type Told = Omit<ExactPosition, 'node'> | null | undefined;

/** What the beginning of an RDB says of its position: null if nothing, undefined if that takes more bytes. */
export function positionIn(bytes: Uint8Array): Told {
  try {
    return told(bytes);
  } catch (error) {
    if (error instanceof RdbError) return null; // whoever reads the RDB says so
    throw error;
  }
}

function told(bytes: Uint8Array): Told {
  if (bytes.length < HEADER) return undefined;
  if (!isRdb(latin(bytes, 0, HEADER))) return null;
  const fields = new Map<string, string>();
  const [key, value, text] = [new Element(), new Element(), new Scratch()];
  const textOf = (element: Element): string => {
    text.text(element);
    return formatText(element.bytes, element.start, element.end);
  };
  for (let at = HEADER; ; ) {
    if (at === bytes.length) return at > MOST ? null : undefined;
    if (bytes[at] !== AUX) break;
    const middle = readString(bytes, at + 1, bytes.length, key);
    const end = middle < 0 ? -1 : readString(bytes, middle, bytes.length, value);
    if (end < 0) return bytes.length > MOST ? null : undefined;
    fields.set(textOf(key), textOf(value));
    at = end;
  }
  const [id, offset, db] = [fields.get('repl-id'), Number(fields.get('repl-offset') ?? NaN), Number(fields.get('repl-stream-db') ?? 0)];
  return id === undefined || !Number.isSafeInteger(offset) || !Number.isSafeInteger(db) ? null : { id, offset, db };
}
