/** Not reached; refused; connection lost; the target does not fit; a restart may have lost keys. */
export type ServerErrorCode = 'UNREACHABLE' | 'REFUSED' | 'LOST' | 'TARGET' | 'RESTARTED';

/** A server refused or was lost, and the command cannot go on. */
export class ServerError extends Error {
  override readonly name = 'ServerError';

  constructor(
    readonly code: ServerErrorCode,
    /** `host:port`. */
    readonly server: string,
    /** What went wrong, as a clause without a full stop; error replies are quoted as they are. */
    readonly reason: string,
    cause?: unknown,
    /** What to do next, if the code alone does not determine it. */
    readonly advice?: string,
    { at, passing = false }: { at?: string | undefined; passing?: boolean | undefined } = {},
  ) {
    super(`${server}: ${reason}`, { cause });
    this.at = at;
    this.passing = passing;
  }

  /** Database and key that a reply is about, printable. */
  readonly at: string | undefined;
  /** Whether it may pass by itself: a failover, a server that is loading. */
  readonly passing: boolean;
  /** The side of a server that is read; undefined for one that is written to. */
  readAs: 'source' | 'target' | undefined;
}

/** A connection ended; it can be opened again. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The server, or something between it and us, closed the connection. */
export class ConnectionClosed extends ConnectionLost {}

/** Whether the same may go well later: a connection was lost, a server was not reached, or says itself that it will pass. */
export const mayPass = (error: unknown): error is ConnectionLost | ServerError =>
  error instanceof ConnectionLost ||
  (error instanceof ServerError && (error.passing || error.code === 'UNREACHABLE' || error.code === 'LOST'));

/** The text of an error that names its server; `node`: the one of a connection that was lost. */
export const toldOf = (error: unknown, node: string): string =>
  error instanceof ServerError ? error.message : `${node}: ${reasonOf(error)}`;

/** The text of an error, for messages. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error reply to a command outside batches. */
export class ErrorReply extends Error {
  override readonly name = 'ErrorReply';
}
