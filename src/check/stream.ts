import { ByteBuilder } from '../bytes/builder.js';
import { BYTES, INT } from '../encodings/element.js';
import { StreamId } from '../encodings/stream.js';
import { StreamNodeCheck } from '../encodings/stream-check.js';
import { type Length, readLength } from '../rdb/length.js';
import type { TypeRow } from '../rdb/types.js';
import type { Body } from './body.js';
import type { Findings } from './findings.js';
import { StreamTailCheck } from './stream-tail.js';
import type { Strings } from './strings.js';

const ID = 16;

/**
 * Streams (redis 7.4 rdb.c, rdbLoadObject; t_stream.c). One node is held at a time, and what follows the nodes: groups and their
 * pending entries.
 */
export class StreamBody implements Body {
  /** A cut node is held until it is whole. */
  readonly holdsStrings = true;
  private type!: TypeRow;
  private begun = false;
  private nodesLeft = 0;
  private node = 0;
  private inNode = false;
  private entries = 0;
  /** A node is damaged: the number of entries and the last ID are not known. */
  private damaged = false;
  private readonly key = new StreamId();
  private readonly last = new StreamId();
  private readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly nodes: StreamNodeCheck;
  private readonly rest = new ByteBuilder();
  private restBase = 0;
  private origin = 0;

  constructor(
    private readonly findings: Findings,
    private readonly strings: Strings,
  ) {
    this.nodes = new StreamNodeCheck((at, expected, got, entry) => {
      this.damaged = true;
      findings.add('BAD_STREAM', at + this.origin, expected, got, `${entry === undefined ? '' : `entry ${entry} of `}node ${this.node}`);
    });
  }

  begin(type: TypeRow): void {
    this.type = type;
    this.begun = this.inNode = this.damaged = false;
    this.nodesLeft = this.node = this.entries = 0;
    this.rest.clear();
  }

  fragment(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    if (!this.begun) {
      pos = readLength(bytes, pos, end, this.length);
      this.nodesLeft = this.length.value;
    }
    this.begun = true;
    while (pos < end && this.nodesLeft > 0) {
      pos = this.inNode ? this.listpack(bytes, pos, end) : this.nodeKey(bytes, pos, end);
      if (this.inNode) this.nodesLeft--;
      this.inNode = !this.inNode;
      if (!this.inNode) this.node++;
    }
    if (pos === end) return;
    if (this.rest.length === 0) this.restBase = this.findings.base + pos;
    this.rest.copy(bytes, pos, end);
  }

  private nodeKey(bytes: Uint8Array, pos: number, end: number): number {
    const { findings, key, last, strings } = this;
    const next = strings.next(bytes, pos, end, this.node);
    const { element } = strings;
    if (!strings.whole) return next;
    if (element.kind !== BYTES || element.end - element.start !== ID) {
      this.damaged = true;
      findings.add('BAD_STREAM', pos, 'an ID of 16 bytes as the key of a node', 'another string', `node ${this.node}`);
      return next;
    }
    key.read(element.bytes, element.start);
    if (this.node > 0 && !key.isAfter(last)) {
      findings.add(
        'BAD_STREAM',
        pos,
        'a node with a greater ID than the entries before it',
        'the same or a lesser one',
        `node ${this.node}`,
      );
    }
    return next;
  }

  private listpack(bytes: Uint8Array, pos: number, end: number): number {
    const { findings, key, last, nodes, strings } = this;
    const next = strings.next(bytes, pos, end, this.node);
    const { element } = strings;
    if (!strings.whole || element.kind === INT) {
      this.damaged = true;
      if (strings.whole) findings.add('BAD_STREAM', pos, 'a listpack', 'an integer', `node ${this.node}`);
      return next;
    }
    findings.enter(findings.base + pos, element.start);
    this.origin = element.start;
    nodes.check(key, element.bytes, element.start, element.end);
    findings.leave();
    this.entries += nodes.live;
    last.copy(nodes.last);
    return next;
  }

  string(): undefined {
    return undefined;
  }

  end(): void {
    const { entries, findings, last, rest } = this;
    findings.base = this.restBase;
    const tail = new StreamTailCheck(this.type, rest.bytes, rest.length, findings, this.strings);
    tail.check(this.damaged ? undefined : entries, this.node > 0 && !this.damaged ? last : undefined);
    rest.clear();
  }
}
