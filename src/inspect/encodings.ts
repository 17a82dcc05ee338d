/** What OBJECT ENCODING answers; `Measures.encoding` is an index into it. */
export const ENCODINGS = [
  'int', 'embstr', 'raw', 'quicklist', 'listpack', 'ziplist', 'linkedlist', 'hashtable', 'intset', 'skiplist', 'zipmap', 'stream',
  'module', 'listpackex', 'array', 'bitmap-roaring', 'template',
] as const;
export type Encoding = (typeof ENCODINGS)[number];
