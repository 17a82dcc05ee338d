import { PAYLOAD_FOOTER } from '../rdb/payload.js';

/** Whether two DUMP payloads are of the same value: the same bytes, whatever RDB version they say. */
export function samePayload(a: Uint8Array, b: Uint8Array): boolean {
  const size = a.length - PAYLOAD_FOOTER;
  return a.length === b.length && Buffer.compare(a.subarray(0, size), b.subarray(0, size)) === 0;
}
