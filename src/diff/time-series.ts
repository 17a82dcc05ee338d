import { MODULE_DOUBLE, MODULE_STRING } from '../values/module.js';

/** Versions of the format that are known: 9 only adds to rules. */
export const TIME_SERIES_VERSIONS: ReadonlySet<number> = new Set([8, 9]);

/* Parts of the head, by number, without the key of the source (RedisTimeSeries rdb.c, series_rdb_save). The last one counts labels. */
const KEY = 0;
const OPTIONS = 3;
const HAS_SOURCE = 8;
const LABELS = 11;

/* What comes next. */
const HEAD = 0;
const SOURCE = 1;
const LABEL = 2;
const RULES = 3;
const RULE = 4;
const CHUNKS = 5;
const CHUNK = 6;

/** Of OPTIONS: chunks are not compressed. */
const UNCOMPRESSED = 1;
/** Numbers of a chunk before its samples. */
const CHUNK_NUMBERS = 10;
const UNCOMPRESSED_NUMBERS = 3;
/** The number of a rule's aggregation among its parts, and those whose state may end with a string of one byte: min, max, range. */
const AGGREGATION = 3;
const WITH_STRING: ReadonlySet<number> = new Set([1, 2, 8]);

/** A number of a rule, or of the first chunk: which is only known when the samples come. */
interface Held {
  readonly digest: Int32Array;
  readonly value: number;
}

/**
 * Tells what counts of a time series, part by part. Its compaction rules and the key that it is compacted from do not: DUMP leaves them
 * out, an RDB file has them. Nor does its own key. The state of a rule depends on its aggregation, so what follows the last rule is found
 * from its end: the numbers before the first samples.
 */
export class TimeSeriesParts {
  private state = HEAD;
  /** Parts of the head, then of labels or of a rule. */
  private at = 0;
  private numbers = CHUNK_NUMBERS;
  private rulesLeft = 0;
  private aggregation = 0;
  private afterDouble = false;
  private held: Held[] = [];
  private chunks = 0;
  private samples = 0;

  /** `keep` takes the digest of a part that counts. */
  constructor(private readonly keep: (digest: Int32Array) => void) {}

  begin(): void {
    this.state = HEAD;
    this.at = this.rulesLeft = this.chunks = this.samples = 0;
    this.held = [];
  }

  /** Whether all was understood. */
  get isWhole(): boolean {
    return this.state === CHUNK && this.samples === this.chunks;
  }

  /** `value`: that of a number, the length of a string. The digest is borrowed. */
  part(opcode: number, value: number, digest: Int32Array): void {
    const isString = opcode === MODULE_STRING;
    switch (this.state) {
      case HEAD:
        this.head(value, digest);
        break;
      case SOURCE:
        this.state = HEAD;
        break;
      case LABEL:
        this.keep(digest);
        if (--this.at === 0) this.state = RULES;
        break;
      case RULES:
        this.rulesLeft = value;
        this.state = value === 0 ? CHUNKS : RULE;
        break;
      case RULE:
        if (isString) this.ruleString(value, digest);
        else this.ruleNumber(value, digest);
        this.afterDouble = opcode === MODULE_DOUBLE;
        break;
      case CHUNKS:
        this.chunks = value;
        this.keep(digest);
        this.state = CHUNK;
        break;
      default:
        this.keep(digest);
        if (isString) this.samples++;
    }
  }

  private head(value: number, digest: Int32Array): void {
    const at = this.at++;
    if (at === OPTIONS) this.numbers = (value & UNCOMPRESSED) === 0 ? CHUNK_NUMBERS : UNCOMPRESSED_NUMBERS;
    if (at === HAS_SOURCE) this.state = value === 0 ? HEAD : SOURCE;
    else if (at !== KEY) this.keep(digest);
    if (at < LABELS) return;
    this.at = 2 * value;
    this.state = value === 0 ? RULES : LABEL;
  }

  private ruleNumber(value: number, digest: Int32Array): void {
    if (++this.at === AGGREGATION) this.aggregation = value;
    this.held.push({ digest: digest.slice(), value });
    if (this.held.length > CHUNK_NUMBERS + 1) this.held.shift();
  }

  private ruleString(length: number, digest: Int32Array): void {
    if (this.at > AGGREGATION && this.afterDouble && length === 1 && WITH_STRING.has(this.aggregation)) {
      this.held = [];
    } else if (this.rulesLeft > 0) {
      this.rulesLeft--; // the target of a rule
      this.at = 0;
      this.held = [];
    } else {
      const first = this.held.slice(-1 - this.numbers);
      this.chunks = first.length === this.numbers + 1 ? first[0].value : 0;
      for (const one of first) this.keep(one.digest);
      this.keep(digest);
      this.samples = 1;
      this.state = CHUNK;
    }
  }
}
