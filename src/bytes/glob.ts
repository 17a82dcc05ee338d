/**
 * Redis glob patterns, on bytes and case-sensitive, as KEYS and SCAN MATCH apply them (redis util.c,
 * stringmatchlen; checked against a 7.0.15 server).
 *
 *     *        any bytes, also none             ?     any one byte
 *     [abc]    one byte of these                [^a]  one byte that is none of these
 *     [a-z]    one byte of this range; [z-a] is the same range
 *     \x       the byte x itself, also in a class
 *
 * What else the server does, and this does too:
 * - A class without `]` ends where the pattern ends: `[ab` is `[ab]`, `[` fits nothing, `[^` fits any byte.
 * - `[]` is an empty class and fits nothing, `[^]` fits any byte; a `]` in a class has to be escaped.
 * - A range takes any byte as its upper end: `[a-]b]` is one class, of `]` to `a` and `b`. A `\` there is just that byte. An
 *   escaped byte does not begin a range. A `-` is itself where it begins the class or ends the pattern.
 * - Only `^` negates, `!` does not. A `\` at the end of the pattern, or of an unclosed class, is itself.
 * - The empty key fits `*` and the empty pattern, but not `**`.
 * - Range ends are signed bytes, so 80 to ff sort below 00 to 7f: `[a-\xff]` is ff and 00 to 61. This is so on x86; servers
 *   on ARM, where C's char is unsigned, take 61 to ff.
 * - A pattern with more than 1000 `*` that other bytes follow fits nothing.
 */
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const CLOSE = 0x5d;
const DASH = 0x2d;
const OPEN = 0x5b;
const QUESTION = 0x3f;
const STAR = 0x2a;

const MAX_STARS = 1000;

/** Tells whether `bytes[start, end)` fits a pattern. */
export type ByteTest = (bytes: Uint8Array, start: number, end: number) => boolean;

/** Pattern elements: 0 to 255 is that byte, CLASS + n the n-th class; never two ANY_RUN in a row. */
const ANY_BYTE = 256;
const ANY_RUN = 257;
const CLASS = 258;

interface Elements {
  readonly ops: readonly number[];
  /** For every class, 1 at the bytes that fit. */
  readonly classes: readonly Uint8Array[];
}

/** Keeps no reference to `pattern`. The test takes at most (pattern length × key length) steps and allocates nothing. */
export function compileGlob(pattern: Uint8Array): ByteTest {
  if (pattern.length === 1 && pattern[0] === STAR) return () => true;
  const { ops, classes } = parse(pattern);
  const runs = ops.reduce((n, op) => (op === ANY_RUN ? n + 1 : n), 0);
  const open = ops.at(-1) === ANY_RUN;
  if (runs - (open ? 1 : 0) > MAX_STARS) return () => false;
  const head = open ? ops.slice(0, -1) : ops;
  if (head.every((op) => op < ANY_BYTE)) return fixedTest(Uint8Array.from(head), open);
  return elementTest(Uint32Array.from(ops), classes);
}

function parse(pattern: Uint8Array): Elements {
  const ops: number[] = [];
  const classes: Uint8Array[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const byte = pattern[i];
    if (byte === STAR) {
      if (ops.at(-1) !== ANY_RUN) ops.push(ANY_RUN);
    } else if (byte === QUESTION) {
      ops.push(ANY_BYTE);
    } else if (byte === OPEN) {
      const fits = new Uint8Array(256);
      i = parseClass(pattern, i + 1, fits);
      ops.push(CLASS + classes.push(fits) - 1);
    } else {
      if (byte === BACKSLASH && i + 1 < pattern.length) i++;
      ops.push(pattern[i]);
    }
  }
  return { ops, classes };
}

/** Reads a class, from after its `[`, into `fits`; returns where its `]` is, or the end of the pattern. */
function parseClass(pattern: Uint8Array, i: number, fits: Uint8Array): number {
  const negated = pattern[i] === CARET;
  if (negated) i++;
  for (; i < pattern.length && pattern[i] !== CLOSE; i++) {
    const left = pattern.length - i;
    if (pattern[i] === BACKSLASH && left >= 2) {
      fits[pattern[++i]] = 1;
    } else if (left >= 3 && pattern[i + 1] === DASH) {
      addRange(fits, signed(pattern[i]), signed(pattern[i + 2]));
      i += 2;
    } else {
      fits[pattern[i]] = 1;
    }
  }
  if (negated) for (let byte = 0; byte < 256; byte++) fits[byte] ^= 1;
  return i;
}

const signed = (byte: number): number => (byte << 24) >> 24;

function addRange(fits: Uint8Array, a: number, b: number): void {
  for (let byte = Math.min(a, b); byte <= Math.max(a, b); byte++) fits[byte & 0xff] = 1;
}

/** The pattern is `bytes`, or, if `open`, begins with them and ends in `*`; it is not `*` alone. */
function fixedTest(fixed: Uint8Array, open: boolean): ByteTest {
  const length = fixed.length;
  const least = open && length === 0 ? 1 : length;
  return (bytes, start, end) => {
    const has = end - start;
    if (has < least || (!open && has > length)) return false;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== fixed[i]) return false;
    return true;
  };
}

/**
 * Where an element does not fit, only the last `*` has to try again one byte further: an earlier one that took more would
 * leave less for the same elements.
 */
function elementTest(ops: Uint32Array, classes: readonly Uint8Array[]): ByteTest {
  return (bytes, start, end) => {
    let op = 0;
    let i = start;
    let retryOp = -1;
    let retryAt = 0;
    for (;;) {
      if (op < ops.length && ops[op] === ANY_RUN) {
        retryOp = ++op;
        retryAt = i;
        if (op === ops.length) return true;
      } else if (i === end) {
        return op === ops.length;
      } else if (op < ops.length && fitsOne(ops[op], bytes[i], classes)) {
        op++;
        i++;
      } else if (retryOp >= 0) {
        op = retryOp;
        i = ++retryAt;
      } else {
        return false;
      }
    }
  };
}

function fitsOne(op: number, byte: number, classes: readonly Uint8Array[]): boolean {
  if (op < ANY_BYTE) return op === byte;
  return op === ANY_BYTE || classes[op - CLASS][byte] === 1;
}
