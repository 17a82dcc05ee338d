import { Duplex } from 'node:stream';
import { encodePayload } from '../../src/rdb/payload.js';
import type { Opened } from '../../src/redis/connect.js';
import type { NodeScanTarget } from '../../src/live/scan/scan-terms.js';
import { bytes, str } from './support.js';

/** What a node answers, in RESP and latin-1; `end`: it closes the connection after that. */
export type NodeAnswer = string | { readonly end: string };

export const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
export const array = (...items: string[]): string => `*${items.length}\r\n${items.join('')}`;
export const scanReply = (cursor: string, ...keys: string[]): string => array(bulk(cursor), array(...keys.map(bulk)));
export const latin = (raw: Uint8Array): string => Buffer.from(raw).toString('latin1');

/** The reply to DUMP of a string. */
export const dumpOf = (value: string, version = 10): string => bulk(latin(encodePayload(0, bytes(str(value)), version)));

type Answers = (command: readonly string[]) => NodeAnswer | undefined;

/** A server within this process: `answers` first, then what any server says. Its replies come in pieces of the given sizes, in turn. */
export class FakeNode {
  readonly commands: string[] = [];
  opened = 0;
  runId = 'run';
  /** Bytes of commands in the longest write. */
  longest = 0;

  constructor(
    private readonly answers: Answers,
    private readonly pieces: readonly number[] = [1 << 16],
  ) {}

  target(more: Partial<NodeScanTarget> = {}): NodeScanTarget {
    return { name: 'fake:1', open: () => Promise.resolve(this.open()), ...more };
  }

  private open(): Opened {
    this.opened++;
    return {
      socket: new Link(
        (command) => this.answer(command),
        this.pieces,
        (size) => (this.longest = Math.max(this.longest, size)),
      ),
      process: { runId: this.runId, startedAt: 0 },
      clockAhead: 0,
    };
  }

  private answer(command: readonly string[]): NodeAnswer {
    this.commands.push(command.join(' '));
    return this.answers(command) ?? usual(command);
  }

  sent(name: string): string[] {
    return this.commands.filter((command) => command.startsWith(name));
  }
}

function usual([name]: readonly string[]): NodeAnswer {
  switch (name) {
    case 'INFO':
      return bulk('redis_version:7.0.15\r\nused_memory:1000\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n');
    case 'FUNCTION':
      return "-NOPERM this user has no permissions to run the 'function|dump' command\r\n";
    case 'PEXPIRETIME':
    case 'PTTL':
      return ':-1\r\n';
    case 'TIME':
      return array(bulk('1800000000'), bulk('123000'));
    case 'OBJECT':
      return ':5\r\n';
    case 'DUMP':
      return '$-1\r\n';
    default:
      return '+OK\r\n';
  }
}

class Link extends Duplex {
  private received = Buffer.alloc(0);
  private due = Buffer.alloc(0);
  private piece = 0;
  private isWaiting = false;
  private isEnding = false;

  constructor(
    private readonly answer: (command: readonly string[]) => NodeAnswer,
    private readonly pieces: readonly number[],
    private readonly onWrite: (size: number) => void,
  ) {
    super();
  }

  override _write(chunk: Uint8Array, _: string, done: () => void): void {
    this.onWrite(chunk.length);
    this.received = Buffer.concat([this.received, chunk]);
    const said: Buffer[] = [this.due];
    for (let taken = parse(this.received); taken !== undefined && !this.isEnding; taken = parse(this.received)) {
      this.received = this.received.subarray(taken.end);
      const answer = this.answer(taken.command);
      this.isEnding = typeof answer !== 'string';
      said.push(Buffer.from(typeof answer === 'string' ? answer : answer.end, 'latin1'));
    }
    this.due = Buffer.concat(said);
    done();
    if (this.isWaiting) this._read();
  }

  override _read(): void {
    this.isWaiting = this.due.length === 0 && !this.isEnding;
    if (this.isWaiting) return;
    if (this.due.length === 0) {
      this.push(null);
      return;
    }
    const size = this.pieces[this.piece++ % this.pieces.length];
    const part = this.due.subarray(0, size);
    this.due = this.due.subarray(size);
    setImmediate(() => this.push(part));
  }
}

function parse(buffer: Buffer): { command: string[]; end: number } | undefined {
  let at = 0;
  const line = (): number => {
    const end = buffer.indexOf('\r\n', at);
    if (end < 0) return NaN;
    const number = Number(buffer.toString('latin1', at + 1, end));
    at = end + 2;
    return number;
  };
  const command: string[] = [];
  const count = line();
  if (Number.isNaN(count)) return undefined;
  for (let i = 0; i < count; i++) {
    const size = line();
    if (Number.isNaN(size) || at + size + 2 > buffer.length) return undefined;
    command.push(buffer.toString('latin1', at, at + size));
    at += size + 2;
  }
  return { command, end: at };
}
