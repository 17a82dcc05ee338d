import { haveSameBytes, sameByName, sameInOrder, sameOrBothMissing } from './same-parts.js';
import type { StreamEntry, StreamGroup, StreamIdempotence, StreamPending, StreamValue } from './value-types.js';

type Stream = StreamValue<Buffer>;

/**
 * Whether two streams are the same: entries in order, length, last ID, groups with their pending entries and the names of their
 * consumers. Seen and active times of consumers are not compared. What only types since 7.0 have (first ID, greatest deleted ID,
 * entries added, entries read by groups) is compared if both have it: a server that loads an older type makes it up. A stream
 * without idempotent producing is the same as one without producers.
 */
export function sameStream(a: Stream, b: Stream): boolean {
  const offsets = a.firstId !== undefined && b.firstId !== undefined;
  if (a.length !== b.length || a.lastId !== b.lastId || (offsets && !sameOffsets(a, b))) return false;
  return (
    sameInOrder(a.entries, b.entries, sameEntry) &&
    sameByName(
      a.groups,
      b.groups,
      ({ name }) => name,
      (one, other) => sameGroup(one, other, offsets),
    ) &&
    sameProducing(a.idempotence, b.idempotence)
  );
}

const sameOffsets = (a: Stream, b: Stream): boolean =>
  a.firstId === b.firstId && a.maxDeletedId === b.maxDeletedId && a.entriesAdded === b.entriesAdded;

function sameEntry(a: StreamEntry<Buffer>, b: StreamEntry<Buffer>): boolean {
  return (
    a.id === b.id &&
    sameInOrder(
      a.fields,
      b.fields,
      ([name, value], [otherName, otherValue]) => haveSameBytes(name, otherName) && haveSameBytes(value, otherValue),
    )
  );
}

function sameGroup(a: StreamGroup<Buffer>, b: StreamGroup<Buffer>, offsets: boolean): boolean {
  if (a.lastId !== b.lastId || (offsets && a.entriesRead !== b.entriesRead)) return false;
  return (
    sameByName(a.pending, b.pending, ({ id }) => id, samePending) &&
    sameByName(
      a.consumers,
      b.consumers,
      ({ name }) => name,
      () => true,
    )
  );
}

function samePending(a: StreamPending<Buffer>, b: StreamPending<Buffer>): boolean {
  return (
    a.deliveredAt === b.deliveredAt &&
    a.deliveries === b.deliveries &&
    sameOrBothMissing(a.consumer ?? undefined, b.consumer ?? undefined, haveSameBytes)
  );
}

type Producing = StreamIdempotence<Buffer>;

function sameProducing(a: Producing | undefined, b: Producing | undefined): boolean {
  if (a === undefined || b === undefined) return ((a ?? b)?.producers ?? []).length === 0;
  if (a.duration !== b.duration || a.maxEntries !== b.maxEntries || a.added !== b.added || a.duplicates !== b.duplicates) return false;
  return sameByName(
    a.producers,
    b.producers,
    ({ id }) => id,
    (one, other) => sameInOrder(one.entries, other.entries, (x, y) => x.streamId === y.streamId && haveSameBytes(x.id, y.id)),
  );
}
