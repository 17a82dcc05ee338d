import type { Opened } from '../../redis/connect.js';
import { ConnectionLost } from '../../redis/errors.js';
import { type Answer, ErrorAnswer, ReplyLink, textOf } from '../../redis/reply-link.js';
import type { ScanServer } from './scan-server.js';

/** When a key expires, as its server says: a number, and its 64 bits; -1 for never. */
export interface ExpiryAnswer {
  readonly value: number;
  readonly hi: number;
  readonly lo: number;
}

/** The same, and what time it was there, at or before. */
export interface TimedExpiry extends ExpiryAnswer {
  readonly now: number;
}

/** Another connection to the process that is scanned: for what is asked while a reply is read on the first one. */
export class SideLink {
  private opened: { readonly link: ReplyLink; db: number } | undefined;

  constructor(
    private readonly server: ScanServer,
    private readonly open: () => Promise<Opened>,
  ) {}

  /** Connects, if it is not. Throws ConnectionLost where another process answers. */
  async connect(): Promise<ReplyLink> {
    return (await this.connected()).link;
  }

  private async connected(): Promise<{ readonly link: ReplyLink; db: number }> {
    if (this.opened !== undefined) return this.opened;
    const { process, socket } = await this.open();
    const { onBytes, signal } = this.server.settings;
    const link = new ReplyLink(socket, onBytes, signal);
    if (process.runId !== this.server.opened.process.runId) {
      link.close();
      throw new ConnectionLost('another server answers at its address');
    }
    this.opened = { link, db: 0 };
    if (this.server.target.readOnly === true) await link.ask('READONLY');
    return this.opened;
  }

  /** The same, with the database that is scanned. */
  async selected(): Promise<ReplyLink> {
    const { db } = this.server;
    const opened = await this.connected();
    if (opened.db !== db) {
      const answer = await opened.link.ask('SELECT', String(db));
      if (answer instanceof ErrorAnswer) throw new ConnectionLost(answer.text);
      opened.db = db;
    }
    return opened.link;
  }

  /** Undefined if the key is gone. */
  async expiryOf(key: Uint8Array): Promise<TimedExpiry | undefined> {
    const link = await this.selected();
    const { asking, expiry } = this.server.questions;
    const now = await this.timeOf(link);
    if (asking) await link.ask('ASKING');
    const answer = await link.ask(expiry, key);
    if (typeof answer !== 'number') {
      throw new ConnectionLost(answer instanceof ErrorAnswer ? `${expiry}: ${answer.text}` : `${expiry}: an answer that is no number`);
    }
    return answer === -2 ? undefined : { value: link.value, hi: link.hi, lo: link.lo, now };
  }

  private async timeOf(link: ReplyLink): Promise<number> {
    if (!this.server.questions.timed) return this.server.now();
    const answer = await link.ask('TIME');
    const [seconds, microseconds] = Array.isArray(answer) ? answer.map((part: Answer) => Number(textOf(part))) : [];
    if (!(seconds > 0)) throw new ConnectionLost('TIME: an answer that is no time');
    return seconds * 1000 + Math.floor(microseconds / 1000);
  }

  close(): void {
    this.opened?.link.close();
    this.opened = undefined;
  }
}
