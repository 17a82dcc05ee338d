import type { TypeRow } from '../rdb/types.js';

/** Takes the bytes of a large string, decompressed, as they come. */
export interface StringCheck {
  readonly bytes: (bytes: Uint8Array, start: number, end: number) => void;
  /** `lost`: it could not be decompressed, which was told, and not all of its bytes came. */
  readonly end: (lost: boolean) => void;
}

/** Looks at values of one form, which may come in parts. Positions in findings are those in the bytes that it gets. */
export interface Body {
  begin(type: TypeRow): void;
  /** Whole elements, nodes, lengths: the framer cuts nowhere else. */
  fragment(bytes: Uint8Array, start: number, end: number): void;
  /**
   * A string that comes in pieces, because it is too large to be held: undefined where its bytes mean nothing. Where `holdsStrings`, it
   * is a part of the next fragment instead, as the file has it.
   */
  string(length: number): StringCheck | undefined;
  readonly holdsStrings: boolean;
  end(): void;
}
