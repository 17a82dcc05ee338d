import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between clients and a server, and keeps what the server sends. */
export class TapProxy {
  private readonly sent: Buffer[][] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly listener: Server) {}

  static async start(target: number): Promise<TapProxy> {
    const listener = createServer();
    const proxy = new TapProxy(listener);
    listener.on('connection', (client) => proxy.serve(client, connect(target, '127.0.0.1')));
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private serve(client: Socket, server: Socket): void {
    const chunks: Buffer[] = [];
    this.sent.push(chunks);
    server.on('data', (chunk: Buffer) => void chunks.push(chunk));
    client.pipe(server);
    server.pipe(client);
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined); // the other side sees the end
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.listener.address() as { port: number }).port}`;
  }

  /** The RDB that followed +FULLRESYNC on one of the connections, out of its framing, and how that was. */
  get transfer(): { readonly rdb: Buffer; readonly diskless: boolean } {
    const all = this.sent.map((chunks) => Buffer.concat(chunks)).find((bytes) => bytes.includes('+FULLRESYNC '));
    if (all === undefined) throw new Error('nothing was sent to a replica');
    const answer = all.indexOf('+FULLRESYNC ');
    const from = all.indexOf('$', answer);
    const start = all.indexOf('\n', from) + 1;
    const length = all.toString('latin1', from + 1, start).trim();
    if (!length.startsWith('EOF:')) return { rdb: all.subarray(start, start + Number(length)), diskless: false };
    return { rdb: all.subarray(start, all.indexOf(length.slice(4), start)), diskless: true };
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}
