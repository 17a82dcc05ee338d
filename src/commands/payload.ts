import type { Readable } from 'node:stream';
import { RdbError } from '../bytes/errors.js';
import { TS_CODEC } from '../kernels/codec.js';
import { formatText } from '../bytes/text.js';
import { Kernels } from '../kernels/kernels.js';
import { EMPTY } from '../encodings/element.js';
import type { Frame } from '../rdb/frame.js';
import { LEAST_PAYLOAD, parsePayload, type Payload, PAYLOAD_FOOTER, storedCrc } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { ValueFramer } from '../rdb/value-framer.js';
import type { ByteSink } from '../io/byte-sink.js';
import { JsonLines } from '../json/json-lines.js';
import { Output } from '../io/output.js';
import { gather, linesOf } from '../io/gather.js';
import { guard } from '../io/guard.js';
import { nameFrame, parsePayloadLine, type PayloadLine } from '../io/payload-line.js';
import { type Finding, findingError, ValueCheck } from '../check/value-check.js';
import { acceptingTargets, targetRanges } from '../values/accepting.js';
import { findPayload } from './payload-forms.js';
import type { PayloadForm } from './payload-terms.js';

export { findingError } from '../check/value-check.js';

export interface PayloadInput {
  /** As on the command line, or undefined for standard input. */
  readonly given: string | undefined;
  readonly stdin: Readable;
  readonly from?: PayloadForm | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A payload as it was given. */
export interface GivenPayload {
  readonly bytes: Uint8Array;
  readonly form: PayloadForm | 'json';
  /** Whether a trailing newline was removed. */
  readonly newline: boolean;
  /** If it came from a JSON line: its fields and its number, from 1. */
  readonly line?: PayloadLine;
  readonly number?: number;
  /** The line has no payload. */
  readonly error?: RdbError;
}

const OBJECT = 0x7b; // `{` is no type number, so no payload begins with it

/** One payload, or one per JSON line. Throws BAD_PAYLOAD for input that is neither, READ_FAILED, and the reason of an abort. */
export async function* givenPayloads({ from, given, signal, stdin }: PayloadInput): AsyncGenerator<GivenPayload, void, void> {
  const source = given === undefined ? guard(stdin, '-', () => undefined, signal) : argument(given);
  const first = await source.next();
  const head = first.done === true ? new Uint8Array(0) : first.value;
  const chunks = before(head, source);
  if (head[0] !== OBJECT || from !== undefined) {
    yield findPayload(await gather(chunks), from);
    return;
  }
  let number = 0;
  for await (const text of linesOf(chunks)) {
    number++;
    if (text.length > 0) yield givenLine(text, number);
  }
}

function givenLine(text: Uint8Array, number: number): GivenPayload {
  const common = { form: 'json', newline: false, number } as const;
  try {
    const line = parsePayloadLine(text);
    return { ...common, bytes: line.bytes, line };
  } catch (error) {
    if (error instanceof RdbError) return { ...common, bytes: EMPTY, error };
    throw error;
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- one kind of source among asynchronous ones
async function* argument(text: string): AsyncGenerator<Uint8Array, void, void> {
  yield new TextEncoder().encode(text);
}

async function* before(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  yield head;
  yield* rest;
}

/** What is known of a payload; absent is what an error made unknown. */
export interface PayloadReport {
  readonly form: GivenPayload['form'];
  readonly newline: boolean;
  /** Bytes of the payload. */
  readonly size: number;
  readonly db?: number;
  /** In the text form. */
  readonly key?: string;
  readonly type?: string;
  /** The servers' name of the encoding, and its number. */
  readonly encoding?: string;
  readonly encodingId?: number;
  readonly version?: number;
  /** RDB version that introduced the encoding. */
  readonly encodingSince?: number;
  readonly vendor?: Payload['vendor'];
  /** Servers refuse `wrong` and `none`. */
  readonly checksum?: Payload['checksum'];
  readonly storedChecksum?: string;
  readonly computedChecksum?: string;
  /** Bytes of the module metadata before the type byte, of the value, and between value and footer. */
  readonly keyMetaBytes?: number;
  readonly valueBytes?: number;
  readonly trailingBytes?: number;
  /** Servers whose RESTORE takes it, like `redis-7.0`, and the same for messages; none if it has an error. */
  readonly servers?: readonly string[];
  readonly serverRanges?: string;
  /** What is wrong with it; of several things the first. */
  readonly error?: RdbError;
  /** What a careful server would refuse in the value, and how much more there is. */
  readonly findings?: readonly Finding[];
  readonly moreFindings?: number;
}

/** Decodes payloads to JSON lines, or only checks them. */
export class PayloadReader {
  /** Whether a part of a damaged value was written before the damage was found. */
  torn = false;
  private readonly codec = Kernels.create() ?? TS_CODEC;
  private readonly output: Output;
  private readonly lines: JsonLines;
  private readonly deep: ValueCheck;

  constructor(sink: ByteSink = NOWHERE) {
    this.output = new Output(sink, { codec: this.codec });
    this.lines = new JsonLines(this.output, { codec: this.codec });
    this.deep = new ValueCheck({ codec: this.codec });
  }

  /** Checks all of a payload. */
  async check(given: GivenPayload): Promise<PayloadReport> {
    const { bytes, form, line, newline } = given;
    const place = line === undefined || line.db < 0 ? {} : { db: line.db, key: formatText(line.key) };
    let report: PayloadReport = { form, newline, size: bytes.length, ...place };
    try {
      const payload = this.open(given);
      const [stored, computed] = [storedCrc(bytes).toString(), this.crcOf(bytes)];
      report = {
        ...report,
        version: payload.version,
        vendor: payload.vendor,
        checksum: payload.checksum,
        storedChecksum: stored,
        computedChecksum: computed,
      };
      const frame = payloadFrame(bytes, payload);
      const { id, name, since } = frame.type;
      report = {
        ...report,
        type: frame.redisType,
        encoding: name,
        encodingId: id,
        encodingSince: since,
        keyMetaBytes: frame.metaBytes?.length ?? 0,
      };
      if (payload.checksum !== 'ok') throw wrongChecksum(bytes, stored, computed);
      const { end, error } = await this.deeply(frame);
      const { list, more } = this.deep.findings;
      if (list.length > 0) report = { ...report, findings: [...list], moreFindings: more };
      if (error !== undefined) throw error;
      const servers = acceptingTargets(Object.assign(frame, { end }), payload.version);
      report = { ...report, valueBytes: end - frame.start, trailingBytes: bytes.length - PAYLOAD_FOOTER - end };
      return { ...report, servers: servers.map(({ release, vendor }) => `${vendor}-${release}`), serverRanges: targetRanges(servers) };
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      return { ...report, servers: [], error: error.at(place) };
    }
  }

  /**
   * Writes the value as a line; `checksum` says whether to verify it. Returns a warning, if any. Throws RdbError if it is damaged;
   * then nothing of it is written unless it came in parts.
   */
  async decode(given: GivenPayload, checksum: boolean): Promise<string | undefined> {
    const { bytes, line } = given;
    const payload = this.open(given);
    const frame = payloadFrame(bytes, payload);
    if (line !== undefined) nameFrame(frame, line);
    try {
      if (checksum && payload.checksum === 'wrong') throw wrongChecksum(bytes, storedCrc(bytes).toString(), this.crcOf(bytes));
      const end = await this.value(frame);
      await this.output.flushIfFull();
      const trailing = bytes.length - PAYLOAD_FOOTER - end;
      if (trailing > 0) return `${trailing} bytes follow the value before the footer`;
      if (this.lines.nan.take() !== undefined) return 'it has a score that is not a number (NaN): no RESTORE takes it';
      return payload.checksum === 'none' ? 'it has no checksum (zeros): no RESTORE takes it' : undefined;
    } catch (error) {
      if (error instanceof RdbError && frame.db >= 0) error.at({ db: frame.db, key: formatText(frame.keyBytes) });
      throw error;
    }
  }

  /** Flushes the output. */
  async end(): Promise<void> {
    await this.output.flush();
    await this.output.written();
  }

  private open({ bytes, error }: GivenPayload): Payload {
    if (error !== undefined) throw error;
    if (bytes.length < LEAST_PAYLOAD) {
      throw new RdbError('BAD_PAYLOAD', { expected: `${LEAST_PAYLOAD} bytes or more`, got: `${bytes.length}` });
    }
    return parsePayload(bytes, this.codec.crc64());
  }

  private crcOf(bytes: Uint8Array): string {
    return this.codec.crc64().update(bytes, 0, bytes.length - 8).toString();
  }

  /**
   * Checks the value as deeply as a careful server, to its end, and decodes it. Returns the position after it, or what is wrong with it.
   */
  private async deeply(frame: Frame): Promise<{ readonly end: number; readonly error?: RdbError }> {
    const { deep, lines } = this;
    let undecoded: RdbError | undefined;
    const end = await this.parts(frame, (kind, part) => {
      deep.frame(kind, part);
      try {
        if (undecoded === undefined) lines.frame(kind, part);
      } catch (error) {
        if (!(error instanceof RdbError)) throw error;
        undecoded = error;
      }
    });
    if (undecoded !== undefined) lines.rollback();
    const first = deep.findings.list.at(0);
    const error = first === undefined ? undecoded : findingError(first);
    return error === undefined ? { end } : { end, error };
  }

  /** Decodes the value of a frame. Returns the position after it. */
  private value(frame: Frame): Promise<number> {
    return this.parts(frame, (kind, part) => this.lines.frame(kind, part));
  }

  private async parts(frame: Frame, take: (kind: number, part: Frame) => void): Promise<number> {
    const { lines } = this;
    const framer = new ValueFramer(frame);
    try {
      for (const { frame: part, kind } of framer.parts(frame.bytes.subarray(frame.start, frame.end))) {
        take(kind, part);
        await lines.settle();
        if (part.last) return framer.offset;
      }
      throw new RdbError('TRUNCATED', { offset: frame.end, expected: 'the rest of the value', got: 'the footer' });
    } catch (error) {
      this.torn = !lines.rollback();
      if (!(error instanceof RdbError)) throw error;
      const placed = framer.failed(error);
      if (frame.db < 0) placed.db = placed.key = undefined;
      throw placed;
    }
  }
}

function wrongChecksum(bytes: Uint8Array, stored: string, computed: string): RdbError {
  const isZero = /^0+$/.test(stored);
  return new RdbError('CHECKSUM', {
    offset: bytes.length - 8,
    expected: isZero ? 'a checksum' : `${stored}, as the payload says`,
    got: isZero ? 'zeros' : `${computed} from its bytes`,
  });
}

const NOWHERE: ByteSink = {
  write: () => Promise.resolve(),
  commit: () => Promise.resolve(),
  abandon: () => Promise.resolve(undefined),
};
