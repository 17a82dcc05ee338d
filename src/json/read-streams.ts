import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength } from '../rdb/write-string.js';
import { NotRepresentable } from '../values/target-limits.js';
import { targetName, typeFor } from '../values/targets.js';
import type { LineEncoding, ValueEncoder } from './value-encoder.js';
import { Fields } from './fields.js';
import { IntegerPlace } from './number-places.js';
import { ArrayPlace, ObjectPlace, type Place, TextPlace } from './places.js';
import { StreamGroups } from './read-stream-groups.js';
import { Idempotence } from './read-stream-idempotence.js';
import { addIdLengths, addUnsigned, type Id, IdPlace } from './read-stream-ids.js';
import { StreamNodes } from './read-stream-nodes.js';

/** Stream types, the first one first. */
const TYPES = ['STREAM_LISTPACKS', 'STREAM_LISTPACKS_2', 'STREAM_LISTPACKS_3', 'STREAM_LISTPACKS_4', 'STREAM_LISTPACKS_5'];
/** Types that have: offsets, active times, idempotent producing. */
const OFFSETS = 19;
const ACTIVE_TIME = 21;
const IDEMPOTENCE = 26;

/**
 * A stream, as the first type that has all that the line says, or the one with active times where the line lacks none of them,
 * or the target's last one: what that has no place for is left out, as when a stream is written again
 * (values/writers/stream-copies.ts). What the line leaves out is what a server would find: the last ID is that of the last entry, and
 * so on.
 */
export class StreamEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly nodes: StreamNodes;
  private readonly groups: StreamGroups;
  private readonly idempotence: Idempotence;
  private readonly fields: Fields;
  private readonly tail = new ByteBuilder();
  private length = 0n;
  private lastId: Id = 0n;
  private firstId: Id = 0n;
  private maxDeletedId: Id = 0n;
  private entriesAdded = 0n;

  constructor(private readonly encoding: LineEncoding) {
    const { unknown } = encoding;
    this.nodes = new StreamNodes(encoding);
    this.groups = new StreamGroups(encoding);
    this.idempotence = new Idempotence(unknown);
    this.fields = new Fields(
      {
        entries: this.entriesPlace(),
        length: new IntegerPlace('how many entries there are', (value) => (this.length = value)),
        lastId: new IdPlace((id) => (this.lastId = id)),
        firstId: new IdPlace((id) => (this.firstId = id)),
        maxDeletedId: new IdPlace((id) => (this.maxDeletedId = id)),
        entriesAdded: new IntegerPlace('how many entries were ever added', (value) => (this.entriesAdded = value)),
        groups: this.groups.place,
        idempotence: this.idempotence.place,
      },
      ['entries'],
      unknown,
      () => this.check(),
    );
    this.place = new ObjectPlace('a stream: an object', () => this.fields.begin());
  }

  private entriesPlace(): Place {
    const { nodes } = this;
    const nothing = (): void => undefined;
    const strings = new ArrayPlace('an array of names and values', new TextPlace((text) => nodes.add(text)), nothing, nothing);
    const fields = new Fields(
      { id: new IdPlace((id) => nodes.entryId(id)), fields: strings },
      ['id', 'fields'],
      this.encoding.unknown,
      () => nodes.entryEnd(),
    );
    const entry = new ObjectPlace('an entry: an object', () => {
      nodes.entryBegin();
      return fields.begin();
    });
    return new ArrayPlace('an array of entries', entry, nothing, nothing);
  }

  begin(): void {
    this.nodes.begin();
    this.groups.begin();
    this.idempotence.begin();
    this.length = this.entriesAdded = 0n;
    this.lastId = this.firstId = this.maxDeletedId = 0n;
  }

  /** The end of the object. */
  private check(): void {
    const { fields, nodes } = this;
    if (!fields.has('lastId')) this.lastId = nodes.last;
    if (!fields.has('firstId')) this.firstId = nodes.first;
    if (!fields.has('entriesAdded')) this.entriesAdded = BigInt(nodes.entries);
    if (fields.has('length') && this.length !== BigInt(nodes.entries)) {
      throw new RdbError('BAD_LINE', { expected: `the length ${nodes.entries}, of the entries that are there`, got: `${this.length}` });
    }
    if (this.lastId < nodes.last)
      throw new RdbError('BAD_LINE', { expected: 'a lastId that is not below the last entry', got: 'a lower one' });
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding, groups, nodes, tail } = this;
    nodes.end();
    addLength(head, nodes.nodes);
    const type = this.type();
    tail.clear();
    addUnsigned(tail, BigInt(nodes.entries));
    addIdLengths(tail, this.lastId);
    if (type.id >= OFFSETS) {
      addIdLengths(tail, this.firstId);
      addIdLengths(tail, this.maxDeletedId);
      addUnsigned(tail, this.entriesAdded);
    }
    groups.write(tail, type.id);
    if (type.id >= IDEMPOTENCE) this.idempotence.write(tail);
    encoding.body.out.copy(tail.bytes, 0, tail.length);
    return type;
  }

  private type(): TypeRow {
    const { encoding, needs } = this;
    const known = TYPES.map((name) => typeFor(encoding.target, name)).filter((type) => type !== undefined);
    if (known.length === 0) throw new NotRepresentable(`${targetName(encoding.target)} has no streams`);
    const least = needs === OFFSETS && this.groups.allActiveTimes ? ACTIVE_TIME : needs;
    const type = known.find(({ id }) => id >= least) ?? known[known.length - 1];
    if (needs > type.id) this.tell(type.id);
    return type;
  }

  private get needs(): number {
    const { fields } = this;
    const offsets = fields.has('firstId') || fields.has('maxDeletedId') || fields.has('entriesAdded') ? OFFSETS : 0;
    return Math.max(offsets, this.groups.needs, fields.has('idempotence') ? IDEMPOTENCE : 0);
  }

  private tell(type: number): void {
    const { adapted } = this.encoding;
    if (type < OFFSETS) adapted.push('first ID, greatest deleted ID, entries ever added and read by groups');
    if (type < ACTIVE_TIME) adapted.push("consumers' active times");
    if (type < IDEMPOTENCE && this.fields.has('idempotence')) adapted.push('the IDs of idempotent producers');
  }
}
