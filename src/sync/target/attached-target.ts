import { grouped } from '../../bytes/grouped.js';
import type { KeyPrefixes } from '../../values/key-prefixes.js';
import type { KeyName } from '../fences.js';
import type { ChangeWriter } from './change-writer.js';
import { Detached } from './detached.js';

export interface AttachedTargetOptions {
  /** The source master, for messages. */
  readonly name: string;
  /** Other names of keys on the target. */
  readonly names: KeyPrefixes | undefined;
}

/** The target as a lane has it: the writer, while there is one, and where keys of the source are there. */
export class AttachedTarget {
  private current: ChangeWriter | undefined;

  constructor(private readonly options: AttachedTargetOptions) {}

  attach(writer: ChangeWriter): void {
    this.current = writer;
  }

  detach(): void {
    this.current?.close();
    this.current = undefined;
  }

  /** Undefined while there is no connection. */
  get writerNow(): ChangeWriter | undefined {
    return this.current;
  }

  /** Throws Detached while there is no connection. */
  get writer(): ChangeWriter {
    if (this.current === undefined) throw new Detached(this.options.name, 'there is no connection to the target');
    return this.current;
  }

  /** The name that a key has on the target. */
  nameOf(key: Uint8Array): Uint8Array {
    const { names } = this.options;
    if (names === undefined) return key;
    const { keyBytes, keyEnd, keyStart } = names.nameOf({ keyBytes: key, keyStart: 0, keyEnd: key.length });
    return keyBytes === key ? key : keyBytes.slice(keyStart, keyEnd);
  }

  /** Keys of the source by the index of the master that has them. Throws Detached. */
  byOwner<T extends KeyName>(names: readonly T[]): Map<number, T[]> {
    const { writer } = this;
    return grouped(names, ({ key }) => writer.ownerOfKey(this.nameOf(key)));
  }

  /**
   * Records that keys of the source may have the values that it had at these offsets. It is answered when this resolves. `lane`: whose
   * offsets they are. Throws Detached.
   */
  async fence(keys: readonly (KeyName & { readonly offset: number })[], lane?: number): Promise<void> {
    const { writer } = this;
    for (const [owner, own] of this.byOwner(keys)) await writer.fence(owner, own, lane);
  }

  /** Tells the target that these keys of the source have no fences any more. Throws Detached. */
  async unfence(names: readonly KeyName[]): Promise<void> {
    const { writer } = this;
    for (const [owner, own] of this.byOwner(names)) await writer.unfence(owner, own);
  }
}
