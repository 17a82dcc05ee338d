import { moduleNameBits } from '../../values/types/modules.js';
import { RdbError } from '../../bytes/errors.js';
import type { HeldBytes } from '../../io/spill.js';
import type { Frame } from '../../rdb/frame.js';
import { payloadFrame } from '../../rdb/payload-frame.js';
import { payloadOrigin } from '../../rdb/payload.js';
import { type KeyName, keyId } from '../fences.js';
import type { FoundKey } from './source-keys.js';

/** Keys that are remembered. */
const MOST = 200_000;
/** Bytes of the checksum that a payload ends with. */
const CRC_SIZE = 8;
/** A module type is named by 54 bits of an id of 64, which stands after a length of nine bytes has begun. */
const ID_SIZE = 9;
const NOTHING = new Uint8Array(0);
const UNSURE = { sum: '', isSettled: false, isBrought: false };

/**
 * Milliseconds between two answers that are the same: what changes after the second one then has another time in it, though a server has
 * only milliseconds, and a clock may be set back by a little.
 */
const SETTLES = 100;

/** What is known of a key. */
interface Watched extends KeyName {
  /** The checksum and size of the payload that the target has; empty if that is not known. */
  sum: string;
  isStream: boolean;
  /** What the source answered last of a stream, and since when, by `performance.now`; empty if that is not known. */
  state: string;
  since: number;
  /** A payload that is asked for now has all that does not change this state; and the target has such a one. */
  isSettled: boolean;
  isBrought: boolean;
}

/** Keys that may change without being told: those of consumer groups, and of some module types. They are read again every round. */
export class WatchedKeys {
  /** Keys beyond those that can be remembered. */
  left = 0;
  private readonly modules: ReadonlySet<bigint>;
  private readonly known = new Map<string, Watched>();

  /** `modules`: names of module types. */
  constructor(
    modules: readonly string[],
    private readonly most = MOST,
  ) {
    this.modules = new Set(modules.map(moduleNameBits));
  }

  get size(): number {
    return this.known.size;
  }

  get all(): readonly Watched[] {
    return [...this.known.values()];
  }

  /** A key that is of such a type. The target may have another value. */
  add(name: KeyName): void {
    const id = keyId(name.db, name.key);
    if (this.known.has(id)) return;
    if (this.known.size >= this.most) this.left++;
    else {
      const unknown = { sum: '', isStream: false, state: '', since: 0, isSettled: false, isBrought: false };
      this.known.set(id, { db: name.db, key: name.key.slice(), ...unknown });
    }
  }

  /**
   * The source answered this of a stream; undefined: nothing. `asked` and `answered`: between these times, by `performance.now`. Whether it
   * is the same as in the target is told by `isBrought` then.
   */
  answered(key: Watched, state: string | undefined, asked: number, answered: number): void {
    const isSame = state !== undefined && state === key.state;
    if (!isSame) Object.assign(key, { state: state ?? '', since: answered, isBrought: false });
    key.isSettled = isSame && asked - key.since >= SETTLES;
  }

  /** The target has what was asked for after the last answer. */
  brought(keys: readonly Watched[]): void {
    for (const key of keys) key.isBrought = key.isSettled && key.sum !== '';
  }

  /** The target is given this value. Returns whether it had another one, as far as is known. */
  learn(name: KeyName, found: Pick<FoundKey, 'large' | 'payload' | 'size'>): boolean {
    const id = keyId(name.db, name.key);
    const kind = this.kindOf(found);
    if (kind === undefined) {
      this.known.delete(id);
      return true;
    }
    this.add(name);
    const known = this.known.get(id);
    if (known === undefined) return true;
    const sum = `${found.size} ${Buffer.from(footerOf(found).subarray(-CRC_SIZE)).toString('latin1')}`;
    const isOther = known.sum !== sum;
    known.sum = sum;
    known.isStream = kind === 'stream';
    return isOther;
  }

  /** The target does not have what was learned: it refused it. */
  doubt(name: KeyName): void {
    const known = this.known.get(keyId(name.db, name.key));
    if (known !== undefined) Object.assign(known, UNSURE);
  }

  /** The target may not have what was learned. */
  doubtAll(): void {
    for (const known of this.known.values()) Object.assign(known, UNSURE);
  }

  /** All of them, and what is known of them. */
  clear(): void {
    this.known.clear();
    this.left = 0;
  }

  /** Whether it is a stream, or of one of the modules' types. */
  private kindOf({ large, payload }: Pick<FoundKey, 'large' | 'payload'>): 'stream' | 'module' | undefined {
    try {
      if (large instanceof RdbError) return undefined;
      if (large !== undefined) return this.kind(large.frame, () => firstOf(large.value));
      if (payload === undefined) return undefined;
      const frame = payloadFrame(payload, payloadOrigin(payload));
      return this.kind(frame, () => frame.bytes.subarray(frame.start));
    } catch (error) {
      if (error instanceof RdbError) return undefined;
      throw error;
    }
  }

  private kind({ redisType, type }: Frame, value: () => Uint8Array): 'stream' | 'module' | undefined {
    if (redisType === 'stream') return 'stream';
    if (redisType !== 'module' || type.name !== 'MODULE_2') return undefined;
    const { buffer, byteOffset, length } = value();
    const isSuch = length >= ID_SIZE && this.modules.has(new DataView(buffer, byteOffset, length).getBigUint64(1) >> 10n);
    return isSuch ? 'module' : undefined;
  }
}

/** What a payload ends with. */
const footerOf = ({ large, payload = NOTHING }: Pick<FoundKey, 'large' | 'payload'>): Uint8Array =>
  large === undefined || large instanceof RdbError ? payload : large.footer;

function firstOf(value: HeldBytes): Uint8Array {
  for (const piece of value.read()) return piece;
  return NOTHING;
}
