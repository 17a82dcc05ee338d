/**
 * Servers keep collections packed up to these numbers of elements, of limited size each. The defaults have never changed:
 * set-max-intset-entries, set-max-listpack-entries and -value, zset-max-… and hash-max-… (-ziplist- before 7.0).
 */
export const INTSET_ITEMS = 512;
/** Of sets and sorted sets. */
export const PACKED_ITEMS = 128;
/** Of hashes, and of lists before 3.2. */
export const PACKED_FIELDS = 512;
export const PACKED_BYTES = 64;
