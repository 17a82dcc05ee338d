import { LzfStream } from '../bytes/lzf.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { type Frame, STRING_PART } from '../rdb/frame.js';
import { ByteBuilder } from '../bytes/builder.js';
import type { Form, TypeRow } from '../rdb/types.js';
import { type Body, type StringCheck, Strings } from './body.js';
import { Collection, ItemsBody } from './collection.js';
import { type CheckLevel, Findings } from './findings.js';
import { otherBodies } from './others.js';
import { PackedBody, QuicklistBody } from './packed.js';
import { StreamBody } from './stream.js';

export { type CheckLevel, type Finding, findingError } from './findings.js';

export interface CheckOptions {
  readonly level?: CheckLevel | undefined;
  readonly codec?: Codec | undefined;
}

/**
 * Looks at values as deeply as a server with `sanitize-dump-payload yes` (redis 7.0 to 8, valkey 9), and somewhat deeper, entry by entry.
 * Values come as the framer has them: whole, or in parts, of which nothing is held but one packed element, one stream node, and what
 * follows the nodes of a stream.
 *
 *     check.frame(kind, frame);     for each part of a value
 *     if (frame.last) use(check.findings)     until the next value
 */
export class ValueCheck {
  /** Of the value that was given last. */
  readonly findings = new Findings();
  private readonly bodies: Readonly<Record<Form, Body>>;
  private body!: Body;
  private target: StringCheck | undefined;
  private lzf: LzfStream | undefined;
  /** The damage of the current large string was told: nothing more can be said of it. */
  private lost = false;
  private stringOffset = 0;
  /** A large string as the file has it, for a body that holds strings. */
  private readonly held = new ByteBuilder();

  constructor({ level = 'all', codec = TS_CODEC }: CheckOptions = {}) {
    const { findings } = this;
    const strings = new Strings(findings, codec);
    const collection = new Collection(findings, level === 'all');
    const items = new ItemsBody(findings, strings, collection);
    const packed = new PackedBody(findings, strings, collection);
    const quicklist = new QuicklistBody(findings, strings);
    this.bodies = {
      items,
      'hash-metadata': items,
      ziplist: packed,
      listpack: packed,
      'listpack-ex': packed,
      zipmap: packed,
      intset: packed,
      quicklist,
      quicklist2: quicklist,
      stream: new StreamBody(findings, strings),
      ...otherBodies(findings, strings, collection),
    };
  }

  /** Looks at a value, or at the next part of one. */
  frame(kind: number, frame: Frame): void {
    if (frame.first) this.begin(frame.type);
    if (kind === STRING_PART) {
      this.piece(frame);
    } else {
      this.findings.base = frame.offset - frame.start;
      this.body.fragment(frame.bytes, frame.start, frame.end);
    }
    if (frame.last) this.body.end();
  }

  private begin(type: TypeRow): void {
    this.findings.clear();
    this.target = this.lzf = undefined;
    this.body = this.bodies[type.form];
    this.body.begin(type);
  }

  private piece(frame: Frame): void {
    const { body, held } = this;
    const { bodyStart, bytes, end, offset, start, stringFirst, stringLast } = frame;
    if (stringFirst) {
      this.stringOffset = offset;
      held.clear();
      if (!body.holdsStrings) this.open(frame);
    }
    if (body.holdsStrings) {
      held.copy(bytes, start, end);
      if (!stringLast) return;
      this.findings.base = this.stringOffset;
      body.fragment(held.bytes, 0, held.length);
      return;
    }
    this.take(bytes, bodyStart, end);
    if (stringLast) this.close();
  }

  private open({ lzf, offset, stringLength }: Frame): void {
    this.target = this.body.string(stringLength);
    this.lost = false;
    this.findings.enter(offset, 0);
    const { target } = this;
    this.lzf = lzf ? new LzfStream(stringLength, (plain, from, to) => target?.bytes(plain, from, to)) : undefined;
  }

  private take(bytes: Uint8Array, start: number, end: number): void {
    if (this.lost) return;
    if (this.lzf === undefined) {
      this.target?.bytes(bytes, start, end);
      return;
    }
    this.decompress(() => this.lzf?.push(bytes, start, end));
  }

  private close(): void {
    if (!this.lost) this.decompress(() => this.lzf?.finish());
    this.target?.end(this.lost);
    this.findings.leave();
    this.target = this.lzf = undefined;
  }

  private decompress(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.findings.failed(error, 0);
      this.lost = true;
    }
  }
}
