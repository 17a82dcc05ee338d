import { ErrorAnswer, ReplyLink, textOf } from '../../live/reply-link.js';
import { ServerError } from '../../redis/errors.js';
import type { OpenedNode } from '../../live/replication-input.js';
import { historyOf, type SourceHistory } from './history.js';

/** Asks a source where it stands, on a connection of its own. */
export class InfoLink {
  readonly name: string;
  private readonly link: ReplyLink;

  constructor({ name, socket }: OpenedNode, signal: AbortSignal | undefined) {
    this.name = name;
    this.link = new ReplyLink(socket, () => undefined, signal);
  }

  /**
   * Undefined if the server refuses INFO, or does not tell. Throws ServerError (`passing`) while it loads its data: it says something
   * else of its history then. Throws ConnectionLost.
   */
  async history(): Promise<SourceHistory | undefined> {
    // in this order: what it says after it has loaded is right
    const loading = await this.section('persistence');
    if (/^loading:1/m.test(loading ?? '')) {
      const reason = 'LOADING: it is loading its data into memory';
      throw new ServerError('UNREACHABLE', this.name, reason, undefined, undefined, { passing: true });
    }
    const told = await this.section('replication');
    return told === undefined ? undefined : historyOf(told);
  }

  /** What it says of a command: an entry of the reply to COMMAND INFO. */
  async command(name: string): Promise<unknown> {
    const answer = await this.link.ask('COMMAND', 'INFO', name);
    return Array.isArray(answer) ? (answer as readonly unknown[])[0] : undefined;
  }

  private async section(name: string): Promise<string | undefined> {
    const answer = await this.link.ask('INFO', name);
    return answer instanceof ErrorAnswer ? undefined : textOf(answer);
  }

  close(): void {
    this.link.close();
  }
}

/** Milliseconds between two questions. */
const ASK_EVERY = 1000;

/** Asks a source about once a second for the offset of its last write. What fails is asked again: nothing depends on it. */
export class OffsetWatch {
  private readonly over = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private isAsking = false;

  constructor(
    /** For the first questions, if there is one. */
    private link: InfoLink | undefined,
    private readonly open: (signal: AbortSignal) => Promise<InfoLink>,
    private readonly tell: (offset: number | undefined) => void,
  ) {
    this.timer = setInterval(() => void this.ask(), ASK_EVERY);
  }

  private async ask(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    const { signal } = this.over;
    try {
      this.link ??= await this.open(signal);
      const history = await this.link.history();
      if (!signal.aborted) this.tell(history?.offset);
    } catch {
      this.link?.close();
      this.link = undefined;
    } finally {
      this.isAsking = false;
      if (signal.aborted) this.link?.close();
    }
  }

  close(): void {
    clearInterval(this.timer);
    this.over.abort();
    this.link?.close();
  }
}
