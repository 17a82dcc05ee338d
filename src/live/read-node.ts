import type { Opened } from '../redis/connect.js';
import type { ReadSlabs } from '../redis/read-slabs.js';
import type { Master, Servers } from '../redis/servers.js';
import { type Address, addressText } from '../redis/url.js';
import { replicaToRead } from './replicas.js';

export interface ReadNodeOptions {
  readonly servers: Servers;
  /** The master that the shard has now. */
  readonly master: () => Promise<Master>;
  /** The replica that is read, if one is to be. */
  readonly replica: Address | undefined;
  readonly preferReplica: boolean;
  readonly onEvent: ((text: string, notable?: boolean) => void) | undefined;
}

/** The server of a shard that is read: its master, whoever that is, or a replica, as long as it is there. */
export class ReadNode {
  /** `host:port` of the last connection; undefined if sentinels gave it. */
  name: string | undefined;
  private replica: Address | undefined;

  constructor(private readonly options: ReadNodeOptions) {
    this.replica = options.replica;
  }

  /** A connection, logged in. `reads`: as for `openSocket`. Throws ServerError and ConnectionLost. */
  async open(reads?: ReadSlabs): Promise<Opened> {
    const { onEvent, preferReplica, servers } = this.options;
    const { replica } = this;
    if (replica !== undefined) {
      try {
        return await this.openReplica(replica, reads);
      } catch (error) {
        this.replica = undefined;
        onEvent?.(`${addressText(replica)}: ${error instanceof Error ? error.message : String(error)}: another server is looked for`, true);
      }
    }
    const master = await this.options.master();
    if (preferReplica) {
      const choice = { access: servers.access, name: master.name, except: replica, onNote: (text: string) => onEvent?.(text, true) };
      const other = await replicaToRead(await servers.client(master), choice);
      if (other !== undefined) return this.openReplica(other, reads);
    }
    this.name = master.address && addressText(master.address);
    return servers.openSocket(master, reads);
  }

  master(): Promise<Master> {
    return this.options.master();
  }

  /** A connection to the master, logged in. Throws ServerError and ConnectionLost. */
  async openMaster(): Promise<{ readonly master: Master; readonly opened: Opened }> {
    const master = await this.options.master();
    return { master, opened: await this.options.servers.openSocket(master) };
  }

  private async openReplica(replica: Address, reads: ReadSlabs | undefined): Promise<Opened> {
    const name = addressText(replica);
    const opened = await this.options.servers.openSocket({ name, address: replica }, reads);
    this.name = name;
    this.replica = replica;
    return opened;
  }
}
