import { connect, createServer, type Server, type Socket } from 'node:net';

/** Called with the piece that holds the byte; what it returns is passed on instead, with `last` as the last of the connection. */
export type Trip = (piece: Buffer, at: number) => Promise<Passed> | Passed;

export interface Passed {
  readonly bytes: Buffer;
  readonly last?: boolean;
}

/** Stands between a client and a server; at one byte of what the server sends, over all connections, something happens once. */
export class TripProxy {
  /** Whether it has happened. */
  tripped = false;
  /** Over when what happens has happened: servers that it kills and starts are whole again. */
  happened: Promise<unknown> = Promise.resolve();
  private passed = 0;
  private readonly sockets = new Set<Socket>();
  private readonly listener: Server;

  private constructor(
    private readonly target: number,
    private readonly after: number,
    private readonly trip: Trip,
  ) {
    this.listener = createServer({ pauseOnConnect: true }, (socket) => this.connected(socket));
  }

  static async start(target: number, after: number, trip: Trip): Promise<TripProxy> {
    const proxy = new TripProxy(target, after, trip);
    await new Promise<void>((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    const address = this.listener.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `redis://127.0.0.1:${address.port}`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.sockets.size / 2;
  }

  private connected(client: Socket): void {
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
    client.pipe(server);
    server.on('data', (piece: Buffer) => void this.pass(server, client, piece));
  }

  private async pass(server: Socket, client: Socket, piece: Buffer): Promise<void> {
    const at = this.after - this.passed;
    this.passed += piece.length;
    let passed: Passed = { bytes: piece };
    if (!this.tripped && at < piece.length) {
      this.tripped = true;
      server.pause();
      const happening = Promise.resolve(this.trip(piece, at));
      this.happened = happening;
      passed = await happening;
      server.resume();
    }
    if (passed.last === true) client.end(passed.bytes, () => server.destroy());
    else if (!client.destroyed && !client.write(passed.bytes)) {
      server.pause();
      client.once('drain', () => server.resume());
    }
  }

  /** Ends all connections that there are. */
  dropAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  stop(): void {
    this.listener.close();
    this.dropAll();
  }
}
