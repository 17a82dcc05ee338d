import { ByteBuilder } from '../bytes/builder.js';
import { keySlot } from '../bytes/crc16.js';
import { RdbError } from '../bytes/errors.js';
import { RespValues } from '../dump/resp-values.js';
import { RespWriter, writeExpiry } from '../dump/resp-writer.js';
import { Element } from '../encodings/element.js';
import type { Codec } from '../kernels/codec.js';
import type { Frame } from '../rdb/frame.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { payloadOrigin } from '../rdb/payload.js';
import { readString, Scratch } from '../rdb/string.js';
import { lastCommand } from '../redis/commands.js';
import type { Pending } from '../redis/in-flight.js';
import { NIL, type OtherReply } from '../redis/replies.js';
import { releaseNumber, type Target } from '../values/targets.js';
import type { CommandBatch } from './command-batch.js';
import { expiryOf, restoredBy } from './key-commands.js';
import type { RestoreConflict } from './outcomes.js';
import { temporaryKey } from './temporary-key.js';

/** The reply to RESTORE for an existing key, which other commands tell in other ways. */
const BUSY = 'BUSYKEY Target key name already exists.';

/** Longer strings are written in pieces. */
const WHOLE_STRING = 1 << 18;

/** The release whose SET takes an expiry as a point in time (PXAT). */
const HAS_PXAT = 602;

export interface PlainWriterOptions {
  readonly codec: Codec;
  readonly target: Target;
  readonly conflict: RestoreConflict;
  /** Larger payloads, in bytes, are written with plain commands. */
  readonly maxPayload: number;
}

/** The server that a batch is for. */
export interface Receiver {
  readonly node: string;
  /** Whether it is one of several, by slot. */
  readonly sharded: boolean;
  /** Whether it has transactions. Without them, the keys that need them are sent alone. */
  readonly transactions: boolean;
}

/**
 * Writes command batches as they are sent if some payloads are over `maxPayload`: a short string as SET, anything else as a transaction
 * (MULTI … EXEC), so that a connection lost in the middle leaves nothing. Unless keys are replaced, the value is built under another
 * name and renamed if the key does not exist (RENAMENX).
 */
export class PlainWriter {
  private readonly out = new ByteBuilder();
  private readonly resp: RespWriter;
  private readonly values: RespValues;
  private readonly replaces: boolean;
  private readonly hasPxat: boolean;
  private readonly element = new Element();
  private readonly text: Scratch;

  constructor(private readonly options: PlainWriterOptions) {
    const { codec, conflict, target } = options;
    const release = releaseNumber(target);
    this.replaces = conflict === 'replace';
    this.hasPxat = release >= HAS_PXAT;
    this.resp = new RespWriter(this.out, codec);
    this.values = new RespValues(this.resp, release);
    this.values.isNew = !this.replaces;
    this.text = new Scratch(codec);
  }

  /** Whether a batch has to be written anew, as far as its size tells. */
  concerns({ length }: CommandBatch): boolean {
    return length > this.options.maxPayload;
  }

  write(batch: CommandBatch, { node, sharded, transactions }: Receiver): PlainBatch {
    const { out, resp } = this;
    const plain = new PlainBatch(batch, node, !this.replaces);
    out.clear();
    for (let index = 0; index < batch.keys; index++) {
      const commands = batch.commandsAt(index);
      const [length, before] = [out.length, resp.commands];
      let fault: string | undefined;
      let replies = 0;
      try {
        replies = this.key(batch, commands, sharded, transactions);
      } catch (error) {
        if (!(error instanceof RdbError)) throw error;
        fault = `its value is damaged: ${error.message}`;
      }
      if (replies === 0) {
        out.length = length;
        resp.commands = before;
      }
      plain.add(replies, fault);
    }
    plain.bytes = out.bytes.slice(0, out.length);
    return plain;
  }

  /** Returns how many commands replace the RESTORE; 0 if it needs a transaction and there are none. */
  private key(batch: CommandBatch, commands: Uint8Array, sharded: boolean, transactions: boolean): number {
    const { out, resp } = this;
    const { key, payload, ttl } = restoredBy(commands);
    if (payload.length <= this.options.maxPayload) {
      out.copy(commands, 0, commands.length);
      return 1;
    }
    if (batch.perKey > 1) out.copy(commands, 0, lastCommand(commands));
    const frame = payloadFrame(payload, payloadOrigin(payload));
    const expireAt = expiryOf(ttl, this.options.target, batch.builtAt);
    frame.hasExpire = expireAt !== undefined;
    if (expireAt !== undefined) frame.setExpireMs(expireAt);
    const before = resp.commands;
    if (this.set(key, frame)) return 1;
    if (!transactions) return 0;
    this.transaction(key, frame, sharded);
    return resp.commands - before;
  }

  /** Writes a short string with one command, if it can be. */
  private set(key: Uint8Array, frame: Frame): boolean {
    const { element, replaces, resp, text } = this;
    if (frame.type.form !== 'string' || frame.redisType !== 'string' || (frame.hasExpire && !this.hasPxat)) return false;
    if (readString(frame.bytes, frame.start, frame.end, element) < 0 || element.num > WHOLE_STRING) return false;
    text.text(element);
    if (element.end - element.start > WHOLE_STRING) return false;
    resp.command(3 + (replaces ? 0 : 1) + (frame.hasExpire ? 2 : 0));
    resp.word('SET');
    resp.arg(key);
    resp.arg(element.bytes, element.start, element.end);
    if (!replaces) resp.word('NX');
    if (frame.hasExpire) resp.words('PXAT', `${frame.expireMs}`);
    return true;
  }

  private transaction(key: Uint8Array, frame: Frame, sharded: boolean): void {
    const { replaces, resp, values } = this;
    const name = replaces ? key : temporaryKey(sharded ? keySlot(key) : undefined);
    Object.assign(frame, { keyBytes: name, keyStart: 0, keyEnd: name.length });
    resp.command(1);
    resp.word('MULTI');
    values.record(frame);
    writeExpiry(resp, frame);
    if (!replaces) {
      resp.command(3);
      resp.word('RENAMENX');
      resp.arg(name);
      resp.arg(key);
      resp.command(2);
      resp.word('DEL');
      resp.arg(name);
    }
    resp.command(1);
    resp.word('EXEC');
  }
}

/** A command batch as it is sent: it takes the replies, and tells the batch what those to its own commands would have been. */
export class PlainBatch implements Pending {
  bytes: Uint8Array = new Uint8Array(0);
  /** By key: how many commands replace its RESTORE; 0 if nothing of the key is sent. */
  private readonly replies: number[] = [];
  private readonly faults = new Map<number, string>();
  /** Replies that came for the current key: to the commands before RESTORE, to those that replace it, and their first error. */
  private before = 0;
  private came = 0;
  private error: string | undefined;

  constructor(
    readonly batch: CommandBatch,
    private readonly node: string,
    /** Whether existing keys are not replaced. */
    private readonly onlyNew: boolean,
  ) {}

  /** `fault`: why nothing of the key is sent. */
  add(replies: number, fault: string | undefined): void {
    if (fault !== undefined) this.faults.set(this.replies.length, fault);
    this.replies.push(replies);
  }

  get complete(): boolean {
    return this.batch.complete;
  }

  /** Settles the next keys of which nothing was sent: damaged ones, and those that are sent alone. */
  skip(): void {
    const { batch, faults, node, replies } = this;
    for (let index = batch.answered; index < batch.keys && replies[index] === 0; index = batch.answered) {
      const fault = faults.get(index);
      if (fault === undefined) {
        batch.setApart(index);
        batch.listener.alone(batch, node, batch.commandsAt(index).slice(), false);
      }
      for (let left = batch.perKey; left > 1; left--) batch.takeReply(undefined, undefined);
      batch.takeReply(fault, undefined);
    }
  }

  takeOks(count: number): number {
    let taken = 0;
    while (taken < count && !this.complete) {
      this.takeReply(undefined, undefined);
      taken++;
    }
    return taken;
  }

  takeReply(error: string | undefined, integer: number | undefined, other?: OtherReply): void {
    const { batch } = this;
    if (this.before < batch.perKey - 1) {
      this.before++;
      batch.takeReply(error, integer);
      return;
    }
    this.error ??= error;
    this.came++;
    const due = this.replies[batch.answered];
    if (this.came < due) return;
    const outcome = due === 1 ? (other === NIL ? BUSY : this.error) : this.ofTransaction(other);
    this.before = this.came = 0;
    this.error = undefined;
    batch.takeReply(outcome, undefined);
    this.skip();
  }

  /** The error of a key whose EXEC was answered. */
  private ofTransaction(exec: OtherReply | undefined): string | undefined {
    if (this.error !== undefined) return this.error;
    if (exec === undefined || exec === NIL) return 'EXEC was not answered with an array';
    const renamed = exec.beforeLast;
    if (exec.error !== undefined) {
      // every other command was executed
      if (!this.onlyNew || renamed === 1) this.batch.setHalf(this.batch.answered);
      return exec.error;
    }
    return this.onlyNew && renamed === 0 ? BUSY : undefined;
  }
}
