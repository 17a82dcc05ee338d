/** What went wrong with a server: it was not reached, it refused, it was lost, what it is does not fit, what it had may be gone. */
export type ServerErrorCode = 'UNREACHABLE' | 'REFUSED' | 'LOST' | 'TARGET' | 'RESTARTED';

/** A server refused or was lost, and there is no going on. */
export class ServerError extends Error {
  override readonly name = 'ServerError';

  constructor(
    readonly code: ServerErrorCode,
    /** `host:port`. */
    readonly server: string,
    /** What was wrong, in a sentence without its end; errors of servers as they are. */
    readonly reason: string,
    cause?: unknown,
    /** What to do next, where the code alone does not tell. */
    readonly advice?: string,
  ) {
    super(`${server}: ${reason}`, { cause });
  }
}

/** A connection ended; it may be opened again. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The server, or somebody on the way to it, has closed the connection. */
export class ConnectionClosed extends ConnectionLost {}

/** What an error says, for messages. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error reply to a command outside of batches. */
export class ErrorReply extends Error {
  override readonly name = 'ErrorReply';
}
