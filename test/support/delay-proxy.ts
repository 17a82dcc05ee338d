import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * Stands between a client and a server like a long link: each piece is late, but none waits for the one before it. What a client has sent
 * before it died still reaches the server, and so does its end.
 */
export class DelayProxy {
  /** Bytes on their way to the server. */
  onTheWay = 0;
  private isCut = false;
  private readonly sockets = new Set<Socket>();
  private readonly listener: Server;

  private constructor(
    private readonly target: number,
    /** Milliseconds in each direction; may change. */
    public delay: number,
  ) {
    this.listener = createServer({ allowHalfOpen: true }, (client) => this.connected(client));
  }

  static async start(target: number, delay: number): Promise<DelayProxy> {
    const proxy = new DelayProxy(target, delay);
    await new Promise<void>((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.listener.address() as { port: number }).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Connections are ended, those that exist and those that are made. */
  set cut(isCut: boolean) {
    this.isCut = isCut;
    if (isCut) for (const socket of this.sockets) socket.destroy();
  }

  private connected(client: Socket): void {
    if (this.isCut) {
      client.destroy();
      return;
    }
    const server = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // the other side sees the end
      socket.on('close', () => this.sockets.delete(socket));
    }
    this.pass(client, server, (bytes) => (this.onTheWay += bytes));
    this.pass(server, client, () => undefined);
  }

  private pass(from: Socket, to: Socket, count: (bytes: number) => void): void {
    const later = (act: () => void): void => void setTimeout(act, this.delay);
    from.on('data', (piece: Buffer) => {
      count(piece.length);
      later(() => {
        count(-piece.length);
        if (!to.destroyed) to.write(piece);
      });
    });
    from.on('close', () => later(() => to.destroySoon()));
    from.on('end', () => later(() => to.end()));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}
