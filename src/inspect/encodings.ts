/** What OBJECT ENCODING answers; `Measures.encoding` is an index into it. */
export const ENCODINGS = [
  'int', 'embstr', 'raw', 'quicklist', 'listpack', 'ziplist', 'linkedlist', 'hashtable', 'intset', 'skiplist', 'zipmap', 'stream',
  'module', 'listpackex', 'array', 'bitmap-roaring', 'template',
] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** By index: whether the elements of a value with this encoding are its bytes, so that it cannot be split over several keys. */
export const ELEMENTS_ARE_BYTES: readonly boolean[] = ENCODINGS.map((name) => ['int', 'embstr', 'raw', 'bitmap-roaring'].includes(name));
