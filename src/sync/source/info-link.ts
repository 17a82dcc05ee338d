import { type Answer, ErrorAnswer, ReplyLink, textOf } from '../../redis/reply-link.js';
import { mayPass, ServerError } from '../../redis/errors.js';
import { refusalOf } from '../../redis/refusals.js';
import type { OpenedNode } from '../../live/replication-input.js';
import { ofSource } from '../rights.js';
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
   * Undefined if the server does not tell. Throws ServerError if it refuses INFO, and (`passing`) while it loads its data: it says
   * something else of its history then. Throws ConnectionLost.
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

  /** What it says of a command: an entry of the reply to COMMAND INFO. Throws ServerError and ConnectionLost. */
  async command(name: string): Promise<unknown> {
    const answer = await this.asked('COMMAND', 'INFO', name);
    return Array.isArray(answer) ? (answer as readonly unknown[])[0] : undefined;
  }

  private async section(name: string): Promise<string | undefined> {
    return textOf(await this.asked('INFO', name));
  }

  private async asked(...command: string[]): Promise<Answer> {
    const answer = await this.link.ask(...command);
    if (answer instanceof ErrorAnswer && refusalOf(answer.text) === 'stop') {
      throw ofSource(new ServerError('REFUSED', this.name, answer.text));
    }
    return answer;
  }

  close(): void {
    this.link.close();
  }
}

/** Milliseconds between two questions. */
const ASK_EVERY = 1000;

/** Asks a source about once a second for the offset of its last write. What may pass is asked again: nothing depends on it. */
export class OffsetWatch {
  private readonly over = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private isAsking = false;

  constructor(
    /** For the first questions, if there is one. */
    private link: InfoLink | undefined,
    private readonly open: (signal: AbortSignal) => Promise<InfoLink>,
    private readonly tell: (offset: number | undefined) => void,
    /** The source does not tell it any more. */
    private readonly refused: () => void,
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
    } catch (error) {
      this.link?.close();
      this.link = undefined;
      if (!signal.aborted && error instanceof ServerError && !mayPass(error)) this.refused();
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
