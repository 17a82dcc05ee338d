import { moduleNameBits } from '../../values/types/modules.js';
import { RdbError } from '../../bytes/errors.js';
import { payloadFrame } from '../../rdb/payload-frame.js';
import { payloadOrigin } from '../../rdb/payload.js';
import { type KeyName, keyId } from '../fences.js';

/** Keys that are remembered. */
const MOST = 200_000;
/** Bytes of the checksum that a payload ends with. */
const CRC_SIZE = 8;
/** A module type is named by 54 bits of an id of 64, which stands after a length of nine bytes has begun. */
const ID_SIZE = 9;

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
  learn(name: KeyName, payload: Uint8Array | undefined): boolean {
    const id = keyId(name.db, name.key);
    if (payload === undefined || !this.isSuch(payload)) {
      this.known.delete(id);
      return true;
    }
    this.add(name);
    const known = this.known.get(id);
    if (known === undefined) return true;
    const { buffer, byteOffset, length } = payload;
    const sum = `${length} ${Buffer.from(buffer, byteOffset + length - CRC_SIZE, CRC_SIZE).toString('latin1')}`;
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

  private isSuch(payload: Uint8Array): boolean {
    try {
      const { bytes, redisType, start, type } = payloadFrame(payload, payloadOrigin(payload));
      if (redisType === 'stream') return true;
      if (redisType !== 'module' || type.name !== 'MODULE_2' || start + ID_SIZE > bytes.length) return false;
      const id = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(start + 1);
      return this.modules.has(id >> 10n);
    } catch (error) {
      if (error instanceof RdbError) return false;
      throw error;
    }
  }
}
