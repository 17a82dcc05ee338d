import type { CopyPosition, ExactPosition } from '../../live/copy-position.js';
import { ServerError } from '../../redis/errors.js';
import { ChangeLink, type ChangeLinkOptions, type ChangeLog, type Introduced, introduced } from './change-link.js';

export interface CopyFollowerOptions extends Omit<ChangeLinkOptions, 'log'> {
  /** A log without writes, for those after `offset` of the history `id`. The one before it is not used any more. */
  readonly openLog: (id: string, offset: number) => ChangeLog | Promise<ChangeLog>;
  /** Called with a link whose writes come: its `run` takes them. The one before it is closed. */
  readonly onLink: (link: ChangeLink, log: ChangeLog) => void;
}

/**
 * Begins to follow the writes of a source together with a full copy of it, on a second link: as soon as the server has said where the
 * copy stands, so that neither its backlog nor an output buffer has to hold the writes until the copy is read.
 *
 * `onPosition` and `onExactPosition` are those of LiveOptions, for one source.
 */
export class CopyFollower {
  /** Where the copy stands, once it has said so. */
  position: ExactPosition | undefined;
  private began: CopyPosition | undefined;
  private link: ChangeLink | undefined;
  private ready: Introduced | undefined;

  constructor(private readonly options: CopyFollowerOptions) {}

  /** Connects ahead, to ask for the writes one round trip after the position is known. If that fails, it is done then. */
  async prepare(): Promise<void> {
    this.ready ??= await introduced(this.options).catch(() => undefined);
  }

  /** Throws ServerError, `passing` if another copy may be followed. */
  async onPosition(position: CopyPosition): Promise<void> {
    const { onLink, openLog } = this.options;
    const { id, node, offset } = position;
    this.link?.close();
    const log = await openLog(id, offset);
    const link = new ChangeLink({ ...this.options, log });
    const { ready } = this;
    this.ready = undefined;
    this.link = link;
    const end = await link.start(id, offset, ready);
    if (end !== undefined) {
      const why = end.kind === 'gap' ? end.reason : 'another server has taken its place';
      const reason = `the writes since its copy began cannot be followed: ${why}`;
      throw new ServerError('REFUSED', node, reason, undefined, undefined, { passing: true });
    }
    this.began = position;
    onLink(link, log);
  }

  /** The copy may be older than was said; then the writes are asked for again, from there on. Throws ServerError. */
  async onExactPosition(position: ExactPosition): Promise<void> {
    const { began } = this;
    this.position = position;
    if (began !== undefined && began.id === position.id && began.offset <= position.offset) return;
    await this.onPosition(position);
  }

  /** Closes the link. */
  close(): void {
    this.link?.close();
    this.ready?.replica.close();
    this.link = undefined;
  }
}
