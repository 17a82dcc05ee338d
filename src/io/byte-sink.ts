/** Where finished bytes go: a file, standard output. */
export interface ByteSink {
  /** Writes all of it, after what earlier calls write. Borrows the bytes until the promise settles. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes over bytes that were written before, from `at` on; undefined where that cannot be. */
  readonly patch?: ((at: number, bytes: Uint8Array) => Promise<void>) | undefined;
  /** Everything is written: makes it last, but `commit` has yet to give it its name. For several outputs that belong together. */
  settle?(): Promise<void>;
  /** Everything is written: makes it last and final. */
  commit(): Promise<void>;
  /** Something went wrong. Returns where what was written can be found, if it is kept anywhere. */
  abandon(): Promise<string | undefined>;
}
