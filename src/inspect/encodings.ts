/** What OBJECT ENCODING answers; `Measures.encoding` is an index into it. */
export const ENCODINGS = [
  'int', 'embstr', 'raw', 'quicklist', 'listpack', 'ziplist', 'linkedlist', 'hashtable', 'intset', 'skiplist', 'zipmap', 'stream',
  'module', 'listpackex', 'array', 'bitmap-roaring', 'template',
] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Those of values whose elements are their bytes, by index: there is nothing that could be split. */
export const ELEMENTS_ARE_BYTES: readonly boolean[] = ENCODINGS.map((name) => ['int', 'embstr', 'raw', 'bitmap-roaring'].includes(name));
