import { setTimeout as delay } from 'node:timers/promises';
import { Crc64 } from '../bytes/crc64.js';
import { formatText } from '../bytes/text.js';
import type { Codec } from '../kernels/codec.js';
import { Frame } from '../rdb/frame.js';
import { payloadOrigin } from '../rdb/payload.js';
import { payloadFrame } from '../rdb/payload-frame.js';
import { ValueFramer } from '../rdb/value-framer.js';
import type { Delivery } from './delivery.js';
import { expiryOf, restoredBy } from './key-commands.js';
import { ConnectionClosed, ConnectionLost, ErrorReply, reasonOf, ServerError } from '../redis/errors.js';
import { isOverLimit, refusalOf } from '../redis/refusals.js';
import type { ExclusiveConnection } from '../redis/exclusive-connection.js';
import { hasReplace, releaseNumber, type Target } from '../values/targets.js';
import type { ByteSink } from '../io/byte-sink.js';
import { HeldPayload } from './held-payload.js';
import { Output } from '../io/output.js';
import { type HeldBytes, Spill } from '../io/spill.js';
import type { Closing, Segment } from './segments.js';
import { CLOSES, type RestoreConflict, THERE } from './outcomes.js';
import { temporaryKey } from './temporary-key.js';
import { SIZES } from './value-size.js';
import { RespValues } from '../dump/resp-values.js';
import { RespWriter, writeExpiry } from '../dump/resp-writer.js';
import { RestoreWriter } from '../dump/restore-writer.js';

/** What sends a large value. */
export type LargeDelivery = Pick<
  Delivery,
  'companionRefused' | 'exclusive' | 'learnLimit' | 'resumed' | 'servers' | 'sharded' | 'slotOf' | 'tooLarge'
>;

export interface LargeOptions {
  readonly delivery: LargeDelivery;
  readonly codec: Codec;
  readonly target: Target;
  /** RDB version of the payload in the rejects file, and of the one that is sent. */
  readonly version: number;
  readonly sentVersion: number;
  readonly conflict: RestoreConflict;
  readonly countReplaced: boolean;
  readonly maxPayload: number;
  /** Whether rejected values keep their payload, for the rejects file. */
  readonly keepsRejects: boolean;
}

/**
 * Connections closed in a row at the same place: after the first number plain commands are tried, after the second the key is
 * rejected.
 */
const CHANGES_WAY = 2;
const GIVES_UP = 3;

/**
 * After a connection closed without an error, the value is sent again in small steps with pauses: writing to a closed connection
 * destroys the error that the server sent before it closed. Least bytes per step, most steps, milliseconds of a pause.
 */
const LEAST_STEP = 1 << 14;
const MOST_STEPS = 1 << 8;
const STEP_PAUSE = 1;

/** Of RENAME (redis server.c, shared.nokeyerr). */
const NO_SUCH_KEY = /^ERR no such key/i;

type Outcome = 'restored' | 'replaced' | 'uncounted' | 'there';

/**
 * Restores a value that is too large for a batch. The whole value is held in a spill and sent on a connection that is used
 * exclusively; if that is lost, it is sent again from the spill. If the payload is over a limit of the server, or an existing key
 * could not be told from our own, the key is built under a temporary name and renamed when it is complete.
 */
export class LargeRestore {
  private readonly payload: HeldPayload;
  private readonly frame: Frame;
  private readonly key: Uint8Array;
  private readonly slot: number;
  /** The server that answered last. */
  private server: string | undefined;
  /** Whether the segment owns the payload now. */
  private handedOver = false;
  /** An earlier RESTORE may have been applied. */
  private sentBefore = false;
  /** Whether the server has a part of the value under its own key. */
  private half = false;
  /** Whether the value is written with plain commands. */
  private asCommands = false;
  /** The error that the server sent before it closed the connection at this value. */
  private words: string | undefined;
  /** Connections closed in a row at this value: by which run of the server, after how many replies. */
  private closings = { times: 0, runId: '', received: 0 };

  constructor(
    frame: Frame,
    /** The whole value. */
    held: HeldBytes,
    private readonly segment: Pick<Segment, 'delivered' | 'reject' | 'skip'>,
    private readonly options: LargeOptions,
  ) {
    this.key = frame.keyBytes.slice(frame.keyStart, frame.keyEnd);
    const head = frame.headBytes.slice(frame.headStart, frame.headEnd);
    const own = {
      keyBytes: this.key,
      keyStart: 0,
      keyEnd: this.key.length,
      headBytes: head,
      headStart: 0,
      typeAt: frame.typeAt - frame.headStart,
      headEnd: head.length,
    };
    this.frame = Object.assign(new Frame(), frame, own, { metaBytes: frame.metaBytes?.slice() });
    this.payload = new HeldPayload(frame, options.version, held);
    this.slot = options.delivery.slotOf(this.key);
  }

  /** For a key of a batch that the server closes the connection at. */
  static at({ batch, commands, why, words }: Closing, segment: Segment, options: Omit<LargeOptions, 'sentVersion'>): LargeRestore {
    const { key, modifiers, payload, ttl } = restoredBy(commands);
    const parsed = payloadOrigin(payload);
    const number = (name: string): number => (modifiers.includes(name) ? Number(modifiers[modifiers.indexOf(name) + 1]) : -1);
    const own = { db: batch.db, keyBytes: key, keyStart: 0, keyEnd: key.length, idle: number('IDLETIME'), freq: number('FREQ') };
    const frame = Object.assign(payloadFrame(payload, parsed), own);
    const expireAt = expiryOf(ttl, options.target, batch.builtAt);
    frame.hasExpire = expireAt !== undefined;
    if (expireAt !== undefined) frame.setExpireMs(expireAt);
    const large = LargeRestore.of(frame, segment, { ...options, sentVersion: parsed.version });
    large.words = words;
    large.sentBefore = batch.again || (why === 'closed' && words === undefined);
    large.half = why === 'half';
    return large;
  }

  /** For a value that was read in one piece. */
  static of(frame: Frame, segment: Segment, options: LargeOptions): LargeRestore {
    const held = new Spill();
    held.add(frame.bytes, frame.start, frame.end);
    return new LargeRestore(frame, held, segment, options);
  }

  /** Bytes of the payload. */
  get size(): number {
    return this.payload.size;
  }

  abandon(): void {
    this.payload.close();
  }

  /** Resolves when the server has the value or refused it. Throws ServerError. */
  async send(): Promise<void> {
    const { delivery, maxPayload } = this.options;
    const { frame, size, words } = this;
    const can = RespValues.can(frame);
    this.asCommands = can && (size > maxPayload || size >= delivery.tooLarge || words !== undefined);
    try {
      if (size > maxPayload && !can) this.reject(RespValues.refusal(frame));
      else if (words !== undefined && !can) this.reject(this.overLimit(words));
      else await this.deliver();
    } catch (error) {
      const refused = error instanceof ErrorReply || (error instanceof ServerError && error.code === 'REFUSED');
      if (this.asCommands && refused) {
        // what was written so far
        await delivery.exclusive(this.slot, this.frame.db, (exclusive) => exclusive.ask('DEL', this.temporaryKey()));
      }
      if (!(error instanceof ErrorReply)) throw error;
      this.reject(error.message);
    } finally {
      if (!this.handedOver) this.payload.close();
    }
  }

  private async deliver(): Promise<void> {
    const { delivery, conflict } = this.options;
    const { db } = this.frame;
    const outcome = await delivery.exclusive(this.slot, db, (exclusive, node, again) =>
      this.attempt(exclusive, node, again || this.sentBefore),
    );
    const server = this.server as string;
    if (outcome !== 'there') this.segment.delivered({ db }, server, 1, outcome === 'replaced' ? 1 : 0, outcome === 'uncounted' ? 1 : 0);
    else if (conflict === 'skip') this.segment.skip(db, server);
    else this.reject(THERE);
  }

  private async attempt(exclusive: ExclusiveConnection, node: string, again: boolean): Promise<Outcome> {
    const { delivery, conflict } = this.options;
    this.server = node;
    const apart = this.asCommands || (conflict !== 'replace' && (again || delivery.resumed));
    try {
      if (this.half) await this.ask(exclusive, 'DEL', this.key);
      this.half = false;
      const outcome = await (apart ? this.apart(exclusive, again) : this.directly(exclusive));
      if (this.asCommands) this.learn();
      return outcome;
    } catch (error) {
      throw this.afterFailure(exclusive, error);
    }
  }

  /** Values of this size need not be tried with RESTORE again. */
  private learn(): void {
    const { delivery, maxPayload } = this.options;
    if (this.size <= maxPayload) delivery.learnLimit(this.server as string, this.frame.db, this.key, this.size);
  }

  /**
   * The error to go on with after a failed attempt. If the server closed the connection at this value, the next attempt uses plain
   * commands, or there is none.
   */
  private afterFailure(exclusive: ExclusiveConnection, error: unknown): unknown {
    const { received, runId } = exclusive;
    const said = error instanceof ErrorReply ? error.message : exclusive.error;
    const words = said !== undefined && isOverLimit(said) ? said : undefined;
    if (words === undefined && !(error instanceof ConnectionClosed)) return this.afterRefusal(error);
    const { closings } = this;
    const same = closings.runId === runId && (closings.received === received || !this.asCommands);
    const times = words !== undefined ? GIVES_UP : same ? closings.times + 1 : 1;
    this.closings = { times, runId, received };
    if (!this.asCommands && times >= CHANGES_WAY && RespValues.can(this.frame)) {
      this.asCommands = true;
      this.closings.times = 0;
      if (words !== undefined) this.learn();
      return new ConnectionLost(words ?? reasonOf(error), { cause: error });
    }
    return times >= GIVES_UP ? new ErrorReply(this.overLimit(words)) : error;
  }

  /** If the user may not send the plain commands, only this value is rejected: everything else can still be restored. */
  private afterRefusal(error: unknown): unknown {
    const { asCommands, size } = this;
    const refused = asCommands && size <= this.options.maxPayload && error instanceof ErrorReply && refusalOf(error.message) === 'stop';
    return refused
      ? new ErrorReply(
          `${CLOSES} at its payload of ${size} bytes, and refuses the commands that would write it in pieces: ${error.message}`,
        )
      : error;
  }

  private overLimit(words: string | undefined): string {
    const what = this.asCommands ? 'its payload of' : `no plain commands write values of type ${this.frame.redisType}, and its payload of`;
    const also = this.asCommands ? ' is over a limit of the server, and so is one of its elements' : ' is over a limit of the server';
    const limit = words === undefined ? 'client-query-buffer-limit, or that of a proxy' : 'proto-max-bulk-len';
    return `${words ?? CLOSES}; ${what} ${this.size} bytes${also} (${limit})`;
  }

  private reject(error: string): void {
    const { server } = this;
    const { db, expireMs, hasExpire } = this.frame;
    this.handedOver = this.options.keepsRejects;
    const payload = this.handedOver ? this.payload : undefined;
    this.segment.reject({
      db,
      key: formatText(this.key, 0, this.key.length),
      server,
      error,
      payload,
      expireAt: hasExpire ? expireMs : undefined,
    });
  }

  private async directly(exclusive: ExclusiveConnection): Promise<Outcome> {
    const { conflict, target } = this.options;
    const replaces = conflict === 'replace';
    const outcome = await this.outcome(exclusive);
    if (replaces && !hasReplace(target)) await this.ask(exclusive, 'DEL', this.key);
    await this.restore(exclusive, this.key, replaces);
    await exclusive.drained();
    const { error } = exclusive;
    if (error?.startsWith('BUSYKEY') === true) return 'there';
    if (error !== undefined) throw new ErrorReply(error);
    return outcome;
  }

  /** The outcome if the key is written now. */
  private async outcome(exclusive: ExclusiveConnection): Promise<Outcome> {
    const { delivery, conflict, countReplaced } = this.options;
    if (conflict !== 'replace' || !countReplaced) return 'restored';
    const there = await exclusive.ask('EXISTS', this.key);
    if (typeof there === 'number') return there > 0 ? 'replaced' : 'restored';
    delivery.companionRefused(this.server as string, 'EXISTS', there);
    return 'uncounted';
  }

  private async apart(exclusive: ExclusiveConnection, again: boolean): Promise<Outcome> {
    const { delivery, conflict } = this.options;
    const name = this.temporaryKey();
    const rename = conflict === 'replace' ? 'RENAME' : 'RENAMENX';
    await this.ask(exclusive, 'DEL', name);
    // it does not exist yet: the reply only says whether the command is allowed
    const refusal = await exclusive.ask(rename, name, this.key);
    if (typeof refusal === 'string' && !NO_SUCH_KEY.test(refusal)) throw new ErrorReply(refusal);
    if (this.asCommands) await this.commands(exclusive, name);
    else await this.restore(exclusive, name, false);
    await exclusive.drained();
    if (exclusive.error !== undefined) {
      const { error } = exclusive;
      await exclusive.ask('DEL', name);
      throw new ErrorReply(error);
    }
    if (conflict === 'replace') {
      const outcome = await this.outcome(exclusive);
      await this.ask(exclusive, rename, name, this.key);
      return outcome;
    }
    if ((await this.ask(exclusive, rename, name, this.key)) === 1) return 'restored';
    const ours = (again || delivery.resumed) && (await this.alike(exclusive, name));
    await exclusive.ask('DEL', name);
    return ours ? 'restored' : 'there';
  }

  private async ask(exclusive: ExclusiveConnection, ...command: (string | Uint8Array)[]): Promise<number> {
    const answer = await exclusive.ask(...command);
    if (typeof answer === 'string') throw new ErrorReply(answer);
    return answer;
  }

  /** Whether the existing key has the size of the one just built: then it is our own, written before the connection was lost. */
  private async alike(exclusive: ExclusiveConnection, name: Uint8Array): Promise<boolean> {
    const command = SIZES[this.frame.redisType];
    if (command === undefined) return true;
    const theirs = await exclusive.ask(command, this.key);
    return typeof theirs === 'number' && theirs === (await exclusive.ask(command, name));
  }

  /** A name in the same slot. Every attempt, in every run, finds the same one, so leftovers are deleted. */
  private temporaryKey(): Uint8Array {
    const crc = new Crc64().update(this.key, 0, this.key.length).toString();
    return temporaryKey(this.options.delivery.sharded ? this.slot : undefined, `:${crc}`);
  }

  private async restore(exclusive: ExclusiveConnection, key: Uint8Array, replaces: boolean): Promise<void> {
    const { payload } = this;
    const { head, size } = payload;
    const { delivery, sentVersion, target } = this.options;
    const { output, resp } = this.writer(exclusive);
    const restores = new RestoreWriter(new Crc64(), target);
    restores.begin(resp, this.named(key), { head, size, replaces, now: delivery.servers.clockOf(this.server as string).now() });
    for (const piece of payload.value()) {
      restores.addValue(piece, 0, piece.length);
      await output.flushIfFull();
    }
    restores.end(sentVersion);
    await output.flush();
    await output.written();
  }

  /** The frame with another key. */
  private named(name: Uint8Array): Frame {
    return Object.assign(new Frame(), this.frame, { keyBytes: name, keyStart: 0, keyEnd: name.length });
  }

  private async commands(exclusive: ExclusiveConnection, name: Uint8Array): Promise<void> {
    const { output, resp } = this.writer(exclusive);
    const values = new RespValues(resp, releaseNumber(this.options.target));
    const renamed = this.named(name);
    const framer = new ValueFramer(renamed);
    for (const piece of this.payload.value()) {
      for (const { frame, kind } of framer.parts(piece)) {
        values.frame(kind, frame);
        await output.flushIfFull();
      }
      // it came in the middle of a command, so the connection must end
      if (exclusive.error !== undefined) throw new ErrorReply(exclusive.error);
    }
    writeExpiry(resp, renamed);
    await output.flush();
    await output.written();
  }

  private async write(exclusive: ExclusiveConnection, bytes: Uint8Array, commands: number): Promise<void> {
    const careful = this.sentBefore || this.closings.times > 0;
    const step = careful ? Math.max(LEAST_STEP, Math.ceil(this.size / MOST_STEPS)) : bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      await exclusive.write(bytes.subarray(at, at + step), at === 0 ? commands : 0);
      if (careful) await delay(STEP_PAUSE);
    }
  }

  private writer(exclusive: ExclusiveConnection): { output: Output; resp: RespWriter } {
    let told = 0;
    let before = Promise.resolve();
    const sink: ByteSink = {
      write: (bytes) => {
        const begun = resp.commands - told;
        told = resp.commands;
        // the output reuses its two buffers: each is sent before it is filled again
        before = before.then(() => this.write(exclusive, bytes, begun));
        return before;
      },
      commit: () => Promise.resolve(),
      abandon: () => Promise.resolve(undefined),
    };
    const output = new Output(sink);
    const resp: RespWriter = new RespWriter(output, this.options.codec);
    return { output, resp };
  }
}
