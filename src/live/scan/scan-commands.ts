import { encodeCommand } from '../../redis/commands.js';
import type { KeyPage } from './key-page.js';

/** Keys between two questions for the time, where expiries are relative. */
export const TIME_EVERY = 32;

/** What a server is asked for each key. */
export interface KeyQuestions {
  /** Absolute expiries (Redis 7.0 and later), or relative ones. */
  readonly expiry: 'PEXPIRETIME' | 'PTTL';
  /** TIME before every `TIME_EVERY` keys. */
  readonly timed: boolean;
  /** What is asked before DUMP, which resets it. */
  readonly object: 'IDLETIME' | 'FREQ' | undefined;
  /** ASKING before each command: for a slot that is being imported. */
  readonly asking: boolean;
}

const ASKING = encodeCommand(['ASKING']);
const TIME = encodeCommand(['TIME']);

/** A command up to its last argument, which is a key. */
function beginning(asking: boolean, ...args: string[]): Uint8Array {
  const parts = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('');
  return Uint8Array.from(Buffer.concat([asking ? ASKING : new Uint8Array(0), Buffer.from(`*${args.length + 1}\r\n${parts}`, 'latin1')]));
}

const MEMORY_USAGE = beginning(false, 'MEMORY', 'USAGE');

/** The questions for the sizes of the keys [from, to). */
export function sizeCommands({ bulks, bytes }: KeyPage, from: number, to: number, asking: boolean): Uint8Array {
  const before = asking ? [...ASKING, ...MEMORY_USAGE] : MEMORY_USAGE;
  const out = new Uint8Array((to - from) * before.length + bulks[to] - bulks[from]);
  let at = 0;
  for (let i = from; i < to; i++) {
    out.set(before, at);
    at = copy(bytes, bulks[i], bulks[i + 1], out, at + before.length);
  }
  return out;
}

/** Writes the questions for the keys of a page, by copying the keys as SCAN gave them. */
export class KeyCommands {
  private readonly beginnings: readonly Uint8Array[];
  private readonly fixed: number;

  constructor(private readonly questions: KeyQuestions) {
    const { asking, expiry, object } = questions;
    this.beginnings = [
      ...(object === undefined ? [] : [beginning(asking, 'OBJECT', object)]),
      beginning(asking, 'DUMP'),
      beginning(asking, expiry), // after DUMP, so that an expiry is never older than its value
    ];
    this.fixed = this.beginnings.reduce((sum, { length }) => sum + length, 0);
  }

  /** Bytes of the questions for the keys [from, to), at most. */
  size({ bulks }: KeyPage, from: number, to: number): number {
    const times = this.questions.timed ? Math.ceil((to - from) / TIME_EVERY) * TIME.length : 0;
    return times + (to - from) * this.fixed + this.beginnings.length * (bulks[to] - bulks[from]);
  }

  /** Writes them to the beginning of `out`; returns how many bytes they have. */
  write({ bulks, bytes, ranged }: KeyPage, from: number, to: number, out: Uint8Array): number {
    const { beginnings, questions } = this;
    let at = 0;
    for (let i = from; i < to; i++) {
      if (questions.timed && (i - from) % TIME_EVERY === 0) at = copy(TIME, 0, TIME.length, out, at);
      if (ranged[i] === 1) continue;
      for (let b = 0; b < beginnings.length; b++) {
        at = copy(beginnings[b], 0, beginnings[b].length, out, at);
        at = copy(bytes, bulks[i], bulks[i + 1], out, at);
      }
    }
    return at;
  }
}

/** Below this a loop is faster than `set`, which needs a new view. */
const SHORT = 64;

/** Copies `bytes[start, end)`; returns the position after them. */
export function copy(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  const size = end - start;
  if (size <= SHORT) for (let i = 0; i < size; i++) out[at + i] = bytes[start + i];
  else out.set(bytes.subarray(start, end), at);
  return at + size;
}
