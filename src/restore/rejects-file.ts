import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { ByteBuilder } from '../bytes/builder.js';
import { parsePayload } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import type { RedisType } from '../rdb/types.js';
import { Base64Stream } from '../json/big-text.js';
import { HeldPayload } from './held-payload.js';
import { OutputError } from '../io/output-error.js';
import type { Rejected } from './outcomes.js';

/** Bytes gathered before they are written. */
const FULL = 1 << 18;

/**
 * Keys that are not on the target, as JSON lines: those of `dump --format payload`, with `error`, and with `server` if one refused
 * the key. Held payloads are copied in pieces.
 */
export class RejectsFile {
  /** Length of the whole lines. */
  bytes = 0;
  private readonly fd: number;
  /** Whether the old content is gone. It stays until something has been read, as it may be the only copy of some keys. */
  private begun: boolean;

  /** Appends after the first `keep` bytes of the file. Throws OutputError. */
  constructor(
    private readonly path: string,
    keep: number,
  ) {
    this.fd = this.guarded(() => openSync(path, keep > 0 ? constants.O_RDWR : constants.O_RDWR | constants.O_CREAT, 0o600));
    if (!fstatSync(this.fd).isFile()) {
      closeSync(this.fd);
      throw new OutputError(path, 'it is not a regular file, which keys can be added to');
    }
    this.bytes = keep;
    this.begun = keep > 0;
    if (this.begun) this.guarded(() => ftruncateSync(this.fd, keep));
  }

  append(rejects: readonly Rejected[]): void {
    if (rejects.length === 0) return;
    this.dropOld();
    let end = this.bytes;
    for (const text of textOf(rejects)) end = this.guarded(() => this.write(text, end));
    this.bytes = end;
  }

  /** Returns the position after the text. */
  private write(text: Uint8Array, at: number): number {
    for (let done = 0; done < text.length; ) done += writeSync(this.fd, text, done, text.length - done, at + done);
    return at + text.length;
  }

  /** Removes what an earlier run wrote, once. */
  dropOld(): void {
    if (!this.begun) this.startOver();
  }

  /** Removes all lines. */
  startOver(): void {
    this.guarded(() => ftruncateSync(this.fd, 0));
    this.begun = true;
    this.bytes = 0;
  }

  sync(): void {
    this.guarded(() => fsyncSync(this.fd));
  }

  close(): void {
    closeSync(this.fd);
  }

  private guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw OutputError.from(this.path, error);
    }
  }
}

/** The type of a rejected value. */
export function rejectedType(payload: Uint8Array | HeldPayload): RedisType {
  return payload instanceof HeldPayload ? payload.redisType : payloadFrame(payload, parsePayload(payload)).redisType;
}

/** The lines in pieces, each valid until the next one. */
function* textOf(rejects: readonly Rejected[]): Generator<Uint8Array, void, void> {
  const out = new ByteBuilder();
  const base64 = new Base64Stream();
  for (const { db, error, expireAt, key, payload, server } of rejects) {
    const type = payload === undefined ? '' : `,"type":"${rejectedType(payload)}"`;
    const expiry = expireAt === undefined ? '' : `,"expireAt":${expireAt}`; // written from the bigint: a JavaScript number has 53 bits
    write(out, `{"db":${db},"key":${JSON.stringify(key)}${type}${expiry}${payload === undefined ? '' : ',"payload":"'}`);
    for (const piece of piecesOf(payload)) {
      base64.write(piece, 0, piece.length, out);
      if (out.length < FULL) continue;
      yield out.view();
      out.clear();
    }
    base64.end(out);
    write(out, `${payload === undefined ? '' : '"'},${JSON.stringify({ error, server }).slice(1)}\n`);
  }
  yield out.view();
}

function piecesOf(payload: Rejected['payload']): Iterable<Uint8Array> {
  if (payload === undefined) return [];
  return payload instanceof HeldPayload ? payload.pieces() : [payload];
}

function write(out: ByteBuilder, text: string): void {
  const bytes = Buffer.from(text);
  out.copy(bytes, 0, bytes.length);
}
