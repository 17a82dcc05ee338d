import { ByteBuilder } from '../bytes/builder.js';
import { isSpace } from '../bytes/byte-forms.js';
import { RdbError } from '../bytes/errors.js';
import { formatText } from '../bytes/text.js';
import { type Frame, NEED } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import { LEAST_PAYLOAD, parsePayload, type Payload, PAYLOAD_FOOTER } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { TABLES, type Vendor } from '../rdb/types.js';
import { EOF, LENGTH_SIZE, modifiersOf, SELECTDB, writeLength } from '../rdb/write.js';
import { linesOf } from './gather.js';
import { nameFrame, parsePayloadLine, type PayloadLine } from './payload-line.js';

/** Bytes that are gathered before they are handed on. */
const FULL = 1 << 18;

/**
 * Lines of `dump --format payload`, or of `restore --rejects`, as an RDB file: version and numbering of the first payload, and the
 * values as in the payloads. Its checksum is zero, for none: each payload has its own, and all are verified. A line is
 * held as a whole. Throws RdbError with the number of the line, after the keys of all earlier lines.
 */
export async function* rdbOfPayloads(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const rdb = new PayloadsRdb();
  const { out } = rdb;
  let number = 0;
  let failure: Error | undefined;
  for await (const line of linesOf(chunks)) {
    number++;
    if (line.every(isSpace)) continue;
    try {
      rdb.add(line);
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      failure = error.at({ line: number });
      break;
    }
    if (out.length < FULL) continue;
    yield out.view();
    out.clear();
  }
  if (failure === undefined) rdb.end();
  if (out.length > 0) yield out.view();
  if (failure !== undefined) throw failure;
}

class PayloadsRdb {
  readonly out = new ByteBuilder();
  private vendor: Vendor | undefined;
  private db = -1;

  /** Adds the key of a line; throws RdbError, and adds nothing then. */
  add(text: Uint8Array): void {
    const line = parsePayloadLine(text);
    if (line.db < 0) throw new RdbError('BAD_PAYLOAD', { expected: 'a line with "db" and "key"', got: 'one without them' });
    const place = { db: line.db, key: formatText(line.key) };
    try {
      const payload = checkedPayload(line.bytes);
      const frame = valueFrame(line, payload);
      this.checkVendor(frame.type.id, payload.vendor);
      if (this.vendor === undefined) this.begin(payload);
      this.record(frame, line);
    } catch (error) {
      throw error instanceof RdbError ? error.at(place) : error;
    }
  }

  /** Types up to 21 are the same in Redis and Valkey. */
  private checkVendor(type: number, vendor: Vendor): void {
    const { vendor: begun = vendor } = this;
    if (TABLES[begun].types[type] === TABLES[vendor].types[type]) return;
    throw new RdbError('BAD_PAYLOAD', {
      expected: `a payload of ${begun}, as the first one`,
      got: `one of ${vendor}, whose type ${type} is another: put the lines of each into a separate file`,
    });
  }

  private begin({ vendor, version }: Payload): void {
    this.vendor = vendor;
    const header = vendor === 'redis' ? `REDIS${String(version).padStart(4, '0')}` : `VALKEY${String(version).padStart(3, '0')}`;
    for (const letter of Buffer.from(header, 'latin1')) this.out.byte(letter);
  }

  private record(frame: Frame, { db, key }: PayloadLine): void {
    const { out } = this;
    if (db !== this.db) {
      out.byte(SELECTDB);
      this.length(db);
      this.db = db;
    }
    const modifiers = modifiersOf(frame, Infinity);
    out.copy(modifiers, 0, modifiers.length);
    out.byte(frame.type.id);
    this.length(key.length);
    out.copy(key, 0, key.length);
    out.copy(frame.bytes, frame.start, frame.end);
  }

  private length(value: number): void {
    const { out } = this;
    const at = out.room(LENGTH_SIZE);
    out.length = writeLength(out.bytes, at, value);
  }

  end(): void {
    this.out.byte(EOF);
    this.out.le64(0, 0);
  }
}

function checkedPayload(bytes: Uint8Array): Payload {
  if (bytes.length < LEAST_PAYLOAD) {
    throw new RdbError('BAD_PAYLOAD', { expected: `a payload of ${LEAST_PAYLOAD} bytes or more`, got: `${bytes.length}` });
  }
  const payload = parsePayload(bytes);
  if (payload.checksum !== 'ok') {
    throw new RdbError('CHECKSUM', {
      expected: 'the checksum at the end of the payload',
      got: payload.checksum === 'none' ? 'zeros' : 'that of other bytes',
    });
  }
  return payload;
}

/** The frame of the value, which ends where it has to. */
function valueFrame(line: PayloadLine, payload: Payload): Frame {
  const frame = payloadFrame(line.bytes, payload);
  const framer = Framer.ofValue(frame, {});
  framer.push(frame.bytes.subarray(frame.start, frame.end));
  do {
    if (framer.next() === NEED) throw new RdbError('TRUNCATED', { expected: 'the rest of the value', got: 'the end of the payload' });
  } while (!framer.frame.last);
  const left = line.bytes.length - PAYLOAD_FOOTER - framer.offset;
  if (left > 0) throw new RdbError('BAD_PAYLOAD', { expected: 'nothing after the value', got: `${left} bytes` });
  nameFrame(frame, line);
  return frame;
}
