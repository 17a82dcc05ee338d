import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { Frame } from '../rdb/frame.js';
import type { RedisType } from '../rdb/types.js';
import { IDLE_SINCE } from '../rdb/write.js';
import type { Target } from '../values/targets.js';
import { ENCODERS } from './read-values.js';
import { LineEncoding, type ValueEncoder } from './value-encoder.js';
import { Fields, IntegerPlace, LEAST_SIGNED, MOST_SIGNED, TextPlace, type Unknown, WordPlace } from './places.js';
import { KeyMetaEncoder } from './read-modules.js';
import type { Text } from './read-text.js';

/** Servers number databases with a C int. */
const MOST_DATABASE = 2n ** 31n - 1n;
const MOST_FREQ = 255n;

/** A line that is a key of one type. */
export interface KeyLine {
  readonly fields: Fields;
  readonly encoder: ValueEncoder;
}

/** What lines that are keys have in common: all but the value, which the encoder of the type makes. */
export class KeyLines {
  readonly encoding: LineEncoding;
  /** What stands before the value: key, database, expiry, … */
  readonly frame = new Frame();
  /** Whether the current key is known. */
  hasKey = false;
  private readonly lines = new Map<string, KeyLine>();
  private readonly meta: KeyMetaEncoder;
  private readonly metaBytes = new ByteBuilder();
  private readonly key = new ByteBuilder();

  constructor(target: Target, allowLoss: boolean, unknown: Unknown) {
    this.encoding = new LineEncoding(target, allowLoss, unknown);
    this.meta = new KeyMetaEncoder(unknown);
    const common = {
      db: new IntegerPlace('the number of a database', (db) => (this.frame.db = Number(db)), 0n, MOST_DATABASE),
      key: new TextPlace((text) => this.keyIs(text)),
      type: new WordPlace('the name of a type', () => undefined),
      expireAt: new IntegerPlace(
        'Unix milliseconds',
        (ms) => this.frame.setExpire(Number(ms >> 32n), Number(ms & 0xffffffffn)),
        LEAST_SIGNED,
        MOST_SIGNED,
      ),
      idle: new IntegerPlace('seconds', (seconds) => (this.frame.idle = Number(seconds)), 0n, BigInt(Number.MAX_SAFE_INTEGER)),
      freq: new IntegerPlace('a counter', (freq) => (this.frame.freq = Number(freq)), 0n, MOST_FREQ),
      keyMeta: this.meta.place,
    };
    for (const [type, encoderFor] of Object.entries(ENCODERS)) {
      const encoder = encoderFor(this.encoding);
      this.lines.set(type, {
        encoder,
        fields: new Fields({ ...common, value: encoder.place }, ['key', 'type', 'value'], unknown, () => this.check()),
      });
    }
  }

  /** A line begins, of one of KEY_TYPES. */
  begin(type: string): KeyLine {
    const line = this.lines.get(type) as KeyLine;
    const { encoding, frame } = this;
    encoding.begin();
    encoding.body.clear();
    this.meta.begin();
    this.hasKey = false;
    frame.db = 0;
    frame.hasExpire = false;
    frame.expireAt = frame.idle = frame.freq = -1;
    frame.redisType = type as RedisType;
    frame.metaBytes = undefined;
    line.encoder.begin();
    return line;
  }

  private keyIs({ element, spilled }: Text): void {
    const { frame, key } = this;
    key.clear();
    if (element !== undefined) key.copy(element.bytes, element.start, element.end);
    else for (const piece of spilled?.read() ?? []) key.copy(piece, 0, piece.length);
    frame.keyBytes = key.bytes;
    frame.keyStart = 0;
    frame.keyEnd = key.length;
    this.hasKey = true;
  }

  private check(): void {
    const { freq, idle } = this.frame;
    if (idle >= 0 && freq >= 0) throw new RdbError('BAD_LINE', { expected: 'idle or freq', got: 'both, which no server has' });
  }

  /** The end of a line: what the target has no place for, beside the value. Throws NotRepresentable. */
  finish(): void {
    const { encoding, frame } = this;
    frame.metaBytes = encoding.keyMeta(this.meta.finish(this.metaBytes));
    if (encoding.target.rdbVersion < IDLE_SINCE && (frame.idle >= 0 || frame.freq >= 0))
      encoding.adapted.push('idle times and access counters');
  }
}

export const KEY_TYPES: ReadonlySet<string> = new Set(Object.keys(ENCODERS));
