import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { formatText } from '../bytes/text.js';
import type { Compression, Input } from '../io/input.js';
import { Lines, type LineTaker } from '../io/lines.js';
import type { DumpCounts, KeyProblem } from '../pipeline/key-problem.js';
import { BEGINNING, isLfsPointer, isRdb, latin } from '../rdb/beginning.js';
import { type Frame, shownKey } from '../rdb/frame.js';
import { addLength, addStringOf } from '../rdb/write-string.js';
import { EOF, magicOf, modifiersOf, SELECTDB } from '../rdb/write.js';
import type { KeySet } from '../values/key-set.js';
import { NotRepresentable } from '../values/target-limits.js';
import { parseTarget, type Target } from '../values/targets.js';
import { KEY_TYPES, type KeyLine, KeyLines } from './key-lines.js';
import { type MetaLine, metaLines } from './meta-lines.js';
import { type Container, Fields, Place, shown, type Unknown, WordPlace } from './places.js';
import { TypeScan, WholeTokens } from './tokens.js';
import { JsonWalk, PartedLine } from './walk.js';

/** What is made of lines that say nothing of their server: Redis and Valkey from 7.2 on read it. */
const DEFAULT_TARGET = parseTarget('7.2');

/** A server that is to read what is written. Shared by all sources of a file: its header says it once. */
export interface ChosenTarget {
  /** Undefined where the lines before the first key are to say it. */
  target: Target | undefined;
}

/** Keys, and what else, that are not in the output as the lines have them. */
export type EncodeCounts = Omit<DumpCounts, 'duplicates' | 'rewritten'>;

/** A key, or something else, that is not in the output, and why. */
export type Refusal = Omit<KeyProblem, 'file'>;

interface LineEncoderOptions {
  readonly chosen: ChosenTarget;
  readonly allowLoss: boolean;
  readonly unknown: Unknown;
  readonly counts: EncodeCounts;
  /** Keys of this file, where one that comes twice must be told here. */
  readonly seen?: KeySet | undefined;
  /** Whether a key that cannot be written is wanted at all. */
  readonly wanted: (head: Frame) => boolean;
  readonly onRefusal: (refusal: Refusal) => void;
  readonly onWarning: (text: string) => void;
}

/** What names a server in the lines before the keys. */
const SERVERS: Readonly<Record<string, string | undefined>> = { 'redis-ver': 'redis', 'valkey-ver': 'valkey' };

/** Where the object of a line stands. */
class RootPlace extends Place {
  fields: Fields | undefined;

  constructor() {
    super('an object, as decode writes it');
  }

  override object(): Container {
    return this.fields === undefined ? super.object() : this.fields.begin();
  }
}

/** Makes the records of an RDB file from lines. Offsets in its errors count from the beginning of the line. */
class LineEncoder implements LineTaker {
  /** What is made so far, to be taken away, with the header at the beginning once `begun`. */
  readonly out = new ByteBuilder();
  begun = false;
  /** The rest of a large record, after `out`: take it before the next line. */
  rest: Iterable<Uint8Array> | undefined;

  private readonly root = new RootPlace();
  private readonly walk = new JsonWalk();
  private readonly tokens = new WholeTokens();
  private readonly metaLines: ReadonlyMap<string, MetaLine>;
  private keyLines: KeyLines | undefined;
  private readonly head = new ByteBuilder();
  private readonly untyped: Fields;
  private db = -1;
  /** Keys since the beginning, or the last line that told their number. */
  private keys = 0;
  private keyLine: KeyLine | undefined;
  private metaLine: MetaLine | undefined;

  private parted: PartedLine | undefined;

  constructor(private readonly options: LineEncoderOptions) {
    const { unknown } = options;
    const type = new WordPlace(`the name of a type: ${[...KEY_TYPES].join(', ')}`, () => undefined);
    this.untyped = new Fields({ type }, ['type'], { lenient: true, left: 0 }, () => undefined);
    this.metaLines = metaLines(unknown, {
      aux: (key, value) => this.serverIs(key, value),
      end: (count) => this.compare(count),
      refuse: (reason) => {
        options.counts.others++;
        options.onRefusal({ reason });
      },
    });
  }

  line(bytes: Uint8Array, start: number, end: number): void {
    if (isBlank(bytes, start, end)) return;
    this.keyLine = undefined;
    try {
      const tokens = this.tokens.read(bytes, start, end, 0);
      const scan = new TypeScan();
      scan.take(tokens);
      this.begin(scan.type);
      this.walk.take(tokens);
      this.end();
    } catch (error) {
      this.tokens.reset();
      throw this.placed(error);
    }
  }

  part(bytes: Uint8Array, start: number, end: number, first: boolean, last: boolean): void {
    try {
      if (first) {
        this.close();
        this.keyLine = undefined;
        this.parted = new PartedLine({ begin: (type) => this.begin(type), take: (tokens) => this.walk.take(tokens) });
      }
      this.parted?.add(bytes, start, end);
      if (!last) return;
      this.parted?.end();
      this.end();
    } catch (error) {
      this.close();
      throw this.placed(error);
    }
  }

  private begin(type: string | undefined): void {
    this.keyLine = this.metaLine = undefined;
    if (this.keyLines !== undefined) this.keyLines.hasKey = false;
    const fields = type === undefined ? this.untyped : this.fieldsOf(type);
    this.root.fields = fields;
    this.walk.begin(this.root);
  }

  private fieldsOf(type: string): Fields {
    if (KEY_TYPES.has(type)) {
      this.keyLine = this.prepared().begin(type);
      return this.keyLine.fields;
    }
    this.metaLine = this.metaLines.get(type);
    if (this.metaLine === undefined) {
      throw new RdbError('BAD_LINE', {
        path: 'type',
        expected: `a type: ${[...KEY_TYPES, ...this.metaLines.keys()].join(', ')}`,
        got: shown(type),
      });
    }
    this.metaLine.begin();
    return this.metaLine.fields;
  }

  /** The header, and encoders for the target that it says. */
  private prepared(): KeyLines {
    const { allowLoss, chosen, unknown } = this.options;
    if (this.keyLines !== undefined) return this.keyLines;
    const target = (chosen.target ??= DEFAULT_TARGET);
    const before = this.out.view().slice();
    this.out.clear();
    const magic = magicOf(target.vendor, target.rdbVersion);
    this.out.copy(magic, 0, magic.length);
    this.out.copy(before, 0, before.length);
    this.begun = true;
    return (this.keyLines = new KeyLines(target, allowLoss, unknown));
  }

  private end(): void {
    this.walk.end();
    if (this.metaLine !== undefined) this.metaLine.write(this.out);
    else if (this.keyLine !== undefined) this.key(this.prepared(), this.keyLine);
  }

  private key(lines: KeyLines, { encoder }: KeyLine): void {
    const { counts, seen } = this.options;
    const { encoding, frame } = lines;
    this.keys++;
    this.head.clear();
    try {
      frame.type = encoder.finish(this.head);
      lines.finish();
      if (seen?.add(frame.db, frame.keyBytes, frame.keyStart, frame.keyEnd) === false) {
        throw new NotRepresentable('the key was there before in the same file');
      }
    } catch (error) {
      if (!(error instanceof NotRepresentable)) throw error;
      this.refuseKey(frame, error);
      return;
    }
    const outcome = encoding.outcome('rewritten');
    if (outcome === 'lossy') counts.lost++;
    else if (outcome === 'adapted') counts.adapted++;
    this.write(frame, encoding.target);
    const pieces = encoder.pieces?.();
    if (pieces !== undefined) this.rest = pieces;
    else if (encoding.body.inMemory) this.out.copy(encoding.body.out.bytes, 0, encoding.body.out.length);
    else this.rest = encoding.body.pieces();
  }

  private write(frame: Frame, { rdbVersion }: Target): void {
    const { head, out } = this;
    if (frame.db !== this.db) {
      this.db = frame.db;
      out.byte(SELECTDB);
      addLength(out, frame.db);
    }
    if (frame.hasExpire || frame.idle >= 0 || frame.freq >= 0 || frame.metaBytes !== undefined) {
      const modifiers = modifiersOf(frame, rdbVersion);
      out.copy(modifiers, 0, modifiers.length);
    }
    out.byte(frame.type.id);
    addStringOf(out, frame.keyBytes, frame.keyStart, frame.keyEnd);
    out.copy(head.bytes, 0, head.length);
  }

  private refuseKey(frame: Frame, { avoidable, reason }: NotRepresentable): void {
    if (!this.options.wanted(frame)) return;
    this.options.counts.refused++;
    this.options.onRefusal({
      db: frame.db,
      key: formatText(frame.keyBytes, frame.keyStart, frame.keyEnd),
      reason: `${reason}${avoidable ? '; --allow-loss writes the key without it' : ''}`,
    });
  }

  /**
   * Before the first key: what the server of the lines is called, where nobody said who is to read them. Whether it is the one written
   * for.
   */
  private serverIs(key: string, version: string): boolean {
    const { chosen } = this.options;
    const name = SERVERS[key];
    if (name === undefined) return true;
    if (this.begun || chosen.target !== undefined) return false;
    try {
      chosen.target = parseTarget(`${name}-${version}`);
      return true;
    } catch {
      return false; // one that is not known: the default, as where nothing is said
    }
  }

  private compare(count: number): void {
    if (count !== this.keys)
      this.options.onWarning(`the line of type end says ${count} keys, but ${this.keys} came before it: lines were left out, or added`);
    this.keys = 0;
  }

  /** The end of the input. */
  finish(): void {
    this.prepared();
  }

  close(): void {
    this.parted?.close();
    this.walk.close();
    this.keyLines?.encoding.body.clear();
  }

  private placed(error: unknown): unknown {
    const { keyLines } = this;
    if (!(error instanceof RdbError)) return error;
    return keyLines?.hasKey === true && this.keyLine !== undefined
      ? error.at({ db: keyLines.frame.db, key: shownKey(keyLines.frame) })
      : error;
  }
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0x20 && bytes[i] !== 0x0d && bytes[i] !== 0x09) return false;
  return true;
}

/** Bytes that are gathered before they are handed on. */
const FULL = 1 << 18;

export interface EncodedOptions extends LineEncoderOptions {
  /** Takes an error of one line, which is left out then. Unless given, the first one is the end. */
  readonly onBadLine?: ((error: RdbError) => void) | undefined;
}

/**
 * JSON lines as an RDB file: what `chunks` gives are the bytes of one that a server loads, without a checksum. Each record is
 * complete before any of it is handed on, so nothing of a bad line is written.
 */
export class EncodedInput implements Input {
  private readonly encoder: LineEncoder;
  private readonly lines: Lines;

  constructor(
    private readonly input: Input,
    private readonly options: EncodedOptions,
  ) {
    this.encoder = new LineEncoder(options);
    this.lines = new Lines(this.encoder);
  }

  get name(): string {
    return this.input.name;
  }

  get size(): number | undefined {
    return this.input.size;
  }

  get ofPayloads(): boolean {
    return this.input.ofPayloads;
  }

  /** Nobody knows before the end. */
  get plainSize(): undefined {
    return undefined;
  }

  get compression(): Compression | undefined {
    return this.input.compression;
  }

  get bytesRead(): number {
    return this.input.bytesRead;
  }

  /** Bytes of JSON understood. */
  get position(): number {
    return this.lines.position;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    const { encoder, lines } = this;
    try {
      for await (const chunk of this.input.chunks()) {
        if (lines.position === 0) this.checkBeginning(latin(chunk, 0, BEGINNING));
        lines.push(chunk);
        for (;;) {
          const { error, more } = this.next();
          if (error !== undefined || encoder.rest !== undefined || encoder.out.length > FULL) yield* this.made();
          if (error !== undefined) this.bad(error);
          if (!more) break;
        }
        yield* this.made();
      }
      const error = this.attempt(() => lines.finish());
      encoder.finish();
      yield* this.made();
      if (error !== undefined) this.bad(error);
      yield Uint8Array.of(EOF, 0, 0, 0, 0, 0, 0, 0, 0);
    } finally {
      encoder.close();
    }
  }

  private checkBeginning(text: string): void {
    const got = isRdb(text)
      ? 'an RDB file: rdbkit decode makes lines of it'
      : isLfsPointer(text)
        ? 'a pointer of Git LFS to a file: git lfs pull fetches that'
        : undefined;
    if (got !== undefined) throw new RdbError('BAD_JSON', { file: this.name, expected: 'lines of JSON', got });
  }

  /** One line, or the part of it that was read. More lines may follow a wrong one. */
  private next(): { readonly error: RdbError | undefined; readonly more: boolean } {
    let more = true;
    const error = this.attempt(() => (more = this.lines.next()));
    return { error, more };
  }

  private attempt(work: () => void): RdbError | undefined {
    try {
      work();
      return undefined;
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      const { number, offset } = this.lines;
      error.offset = offset + (error.offset ?? 0);
      return error.at({ file: this.name, line: number });
    }
  }

  private bad(error: RdbError): void {
    if (this.options.onBadLine === undefined) throw error;
    this.options.onBadLine(error);
  }

  /** What there is, once its header is. */
  private *made(): Generator<Uint8Array, void, void> {
    const { encoder } = this;
    if (!encoder.begun) return;
    const { rest } = encoder;
    encoder.rest = undefined;
    if (encoder.out.length > 0) yield encoder.out.view();
    encoder.out.clear();
    if (rest !== undefined) yield* rest;
  }
}
