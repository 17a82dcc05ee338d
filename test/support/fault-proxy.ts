import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Faults {
  /** A number in [0, 1): the same ones in every run. */
  readonly random: () => number;
  /** A connection ends after so many bytes in either direction, up to this. */
  dropWithin?: number | undefined;
  /** Drops there will be; then everything gets through. */
  drops: number;
  /** Milliseconds that each piece is late. */
  delay?: number;
}

/** Stands between a client and a server, and does what networks do. */
export class FaultProxy {
  /** Connections that were dropped so far. */
  dropped = 0;
  /** Connections that were refused so far. */
  refused = 0;
  /** New connections are closed at once. */
  refusing = false;
  private readonly sockets = new Set<Socket>();
  private readonly listener: Server;

  private constructor(
    private readonly target: number,
    readonly faults: Faults,
  ) {
    this.listener = createServer({ pauseOnConnect: true }, (socket) => this.connected(socket));
  }

  static async start(target: number, faults: Faults): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, faults);
    await new Promise<void>((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.listener.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  private connected(client: Socket): void {
    if (this.refusing) {
      this.refused++;
      client.destroy();
      return;
    }
    const server = connect(this.target, '127.0.0.1');
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // a drop looks like one from the other side
      socket.on('close', () => {
        this.sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    this.pass(client, server);
    this.pass(server, client);
    client.resume();
  }

  /** Both directions have a limit of their own: commands get lost on their way, or their replies. */
  private pass(from: Socket, to: Socket): void {
    const { faults } = this;
    let left = faults.dropWithin === undefined ? Infinity : Math.floor(faults.random() * faults.dropWithin);
    from.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0 && faults.drops > 0) {
        faults.drops--;
        this.dropped++;
        to.end(chunk.subarray(0, chunk.length + left));
        from.destroy();
        return;
      }
      void this.forward(from, to, chunk);
    });
  }

  private async forward(from: Socket, to: Socket, chunk: Buffer): Promise<void> {
    if (this.faults.delay !== undefined) {
      from.pause();
      await delay(this.faults.delay);
      from.resume();
    }
    if (to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once('drain', () => from.resume());
  }

  /** Ends all connections that there are. */
  dropAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  stop(): void {
    this.refusing = true;
    this.listener.close();
    this.dropAll();
  }
}

/** The same numbers for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
