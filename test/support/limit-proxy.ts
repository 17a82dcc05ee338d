import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server, and closes a connection where an argument is larger than it takes. */
export class LimitProxy {
  /** Connections that were closed. */
  closed = 0;
  private readonly sockets = new Set<Socket>();
  private readonly listener: Server;

  private constructor(
    target: number,
    private readonly limit: number,
    /** What it says before it closes; nothing where this is undefined. */
    private readonly words: string | undefined,
  ) {
    this.listener = createServer((client) => {
      const server = connect(target, '127.0.0.1');
      for (const socket of [client, server]) {
        this.sockets.add(socket);
        socket.on('error', () => undefined); // the other side sees the end
        socket.on('close', () => this.sockets.delete(socket));
      }
      client.on('close', () => server.destroy());
      server.on('data', (chunk) => client.write(chunk));
      server.on('close', () => client.end());
      this.watch(client, server);
    });
  }

  static async start(target: number, limit: number, words?: string): Promise<LimitProxy> {
    const proxy = new LimitProxy(target, limit, words);
    await new Promise<void>((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.listener.address() as { port: number }).port}`;
  }

  /** Commands are arrays of bulk strings: what is left of a string is passed over, and each line before one is looked at. */
  private watch(client: Socket, server: Socket): void {
    let left = 0;
    let line = '';
    client.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; ) {
        const step = Math.min(left, chunk.length - at);
        left -= step;
        at += step;
        if (left > 0 || at === chunk.length) break;
        line += String.fromCharCode(chunk[at++]);
        if (!line.endsWith('\r\n')) continue;
        if (line.startsWith('$')) left = Number(line.slice(1)) + 2;
        line = '';
        if (left > this.limit + 2) {
          this.closed++;
          server.removeAllListeners('close');
          server.on('close', () => client.end(this.words === undefined ? '' : `${this.words}\r\n`)); // the commands before it are answered then
          server.end(chunk.subarray(0, at));
          client.removeAllListeners('data');
          client.resume();
          return;
        }
      }
      server.write(chunk);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}
