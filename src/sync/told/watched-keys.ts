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

/** Keys that may change without being told: those of consumer groups, and of some module types. They are read again every round. */
export class WatchedKeys {
  /** Keys beyond those that can be remembered. */
  left = 0;
  private readonly modules: ReadonlySet<bigint>;
  /** What the target has of them: the checksum and size of a payload; empty if that is not known. */
  private readonly known = new Map<string, KeyName & { sum: string }>();

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

  get all(): readonly KeyName[] {
    return [...this.known.values()];
  }

  /** A key that is of such a type. The target may have another value. */
  add(name: KeyName): void {
    const id = keyId(name.db, name.key);
    if (this.known.has(id)) return;
    if (this.known.size >= this.most) this.left++;
    else this.known.set(id, { ...name, key: name.key.slice(), sum: '' });
  }

  /** The target is given this value. Returns whether it had another one, as far as is known. */
  learn(name: KeyName, found: Pick<FoundKey, 'large' | 'payload' | 'size'>): boolean {
    const id = keyId(name.db, name.key);
    if (!this.isSuch(found)) {
      this.known.delete(id);
      return true;
    }
    this.add(name);
    const known = this.known.get(id);
    if (known === undefined) return true;
    const sum = `${found.size} ${Buffer.from(footerOf(found).subarray(-CRC_SIZE)).toString('latin1')}`;
    const isOther = known.sum !== sum;
    known.sum = sum;
    return isOther;
  }

  /** The target does not have what was learned: it refused it. */
  doubt(name: KeyName): void {
    const known = this.known.get(keyId(name.db, name.key));
    if (known !== undefined) known.sum = '';
  }

  /** All of them, and what is known of them. */
  clear(): void {
    this.known.clear();
    this.left = 0;
  }

  private isSuch({ large, payload }: Pick<FoundKey, 'large' | 'payload'>): boolean {
    try {
      if (large instanceof RdbError) return false;
      if (large !== undefined) return this.isType(large.frame, () => firstOf(large.value));
      if (payload === undefined) return false;
      const frame = payloadFrame(payload, payloadOrigin(payload));
      return this.isType(frame, () => frame.bytes.subarray(frame.start));
    } catch (error) {
      if (error instanceof RdbError) return false;
      throw error;
    }
  }

  private isType({ redisType, type }: Frame, value: () => Uint8Array): boolean {
    if (redisType === 'stream') return true;
    if (redisType !== 'module' || type.name !== 'MODULE_2') return false;
    const { buffer, byteOffset, length } = value();
    return length >= ID_SIZE && this.modules.has(new DataView(buffer, byteOffset, length).getBigUint64(1) >> 10n);
  }
}

/** What a payload ends with. */
const footerOf = ({ large, payload = NOTHING }: Pick<FoundKey, 'large' | 'payload'>): Uint8Array =>
  large === undefined || large instanceof RdbError ? payload : large.footer;

function firstOf(value: HeldBytes): Uint8Array {
  for (const piece of value.read()) return piece;
  return NOTHING;
}
