import type { Redis } from 'ioredis';
import { ServerError } from '../redis/errors.js';
import type { Servers } from '../redis/servers.js';

/**
 * The writers of a server, or of all masters of a cluster, wait: CLIENT PAUSE … WRITE, which Redis has since 6.2. The servers end it by
 * themselves, whatever becomes of this process. They delete no expired keys meanwhile, and go on sending PING to their replicas.
 */
export class SourcePause {
  private constructor(
    private readonly servers: Servers,
    private readonly until: number,
  ) {}

  /** Throws ServerError, with no server paused, if one refuses. */
  static async begin(servers: Servers, milliseconds: number): Promise<SourcePause> {
    const pause = new SourcePause(servers, performance.now() + milliseconds); // earlier than any of the servers
    try {
      await servers.eachMaster((client) => client.call('CLIENT', 'PAUSE', `${milliseconds}`, 'WRITE'));
      return pause;
    } catch (error) {
      await pause.end();
      if (!(error instanceof ServerError) || error.code !== 'REFUSED') throw error;
      throw new ServerError('REFUSED', error.server, `CLIENT PAUSE: ${error.reason}`, error, ADVICE);
    }
  }

  /** Milliseconds until the first server takes writes again; 0 or less: it may have. */
  get left(): number {
    return this.until - performance.now();
  }

  /** Lets the writers go on. A server that is lost ends it by itself. */
  async end(): Promise<void> {
    const unpause = (client: Redis): Promise<unknown> => client.call('CLIENT', 'UNPAUSE').catch(() => undefined);
    await this.servers.eachMaster(unpause).catch(() => undefined);
  }
}

const ADVICE =
  '--pause-source needs CLIENT PAUSE … WRITE (Redis 6.2, any Valkey) and the right +client|pause +client|unpause. ' +
  'Without it: stop the writers yourself, and run the same command with --until caught-up.';
