import { connect, createServer, type Server, type Socket } from 'node:net';

/** What to do before a command goes on: its words, in capitals the first one. */
export type Hook = (words: readonly string[]) => Promise<void> | void;

const CRLF = 2;

/** Stands between a client and a server: commands go on when the hook is done with them. */
export class HookProxy {
  /** Bytes of replies. */
  answered = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly listener: Server,
    private readonly target: number,
    private readonly hook: Hook,
  ) {
    listener.on('connection', (socket) => this.serve(socket));
  }

  static async start(target: number, hook: Hook): Promise<HookProxy> {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return new HookProxy(listener, target, hook);
  }

  get port(): number {
    return (this.listener.address() as { port: number }).port;
  }

  private serve(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    let asked = Buffer.alloc(0);
    let before = Promise.resolve();
    client.on('data', (chunk) => {
      asked = Buffer.concat([asked, chunk]);
      for (let command = commandIn(asked); command !== undefined; command = commandIn(asked)) {
        const { size, words } = command;
        const bytes = asked.subarray(0, size);
        asked = asked.subarray(size);
        before = before.then(() => this.hook(words)).then(() => void server.write(bytes));
      }
    });
    server.on('data', ({ length }) => (this.answered += length));
    server.pipe(client);
    for (const [socket, other] of [[client, server], [server, client]]) {
      this.sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }

  /** Ends all connections; new ones are served. */
  drop(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

/** The first whole command. */
function commandIn(bytes: Buffer): { readonly words: string[]; readonly size: number } | undefined {
  if (bytes.length > 0 && bytes[0] !== 0x2a) return { words: [''], size: bytes.length }; // no array: inline, or TLS
  const words: string[] = [];
  let at = bytes.indexOf('\r\n') + CRLF;
  if (at < CRLF) return undefined;
  for (let left = Number(bytes.toString('latin1', 1, at - CRLF)); left > 0; left--) {
    const line = bytes.indexOf('\r\n', at) + CRLF;
    const size = Number(bytes.toString('latin1', at + 1, line - CRLF));
    if (line < CRLF || line + size + CRLF > bytes.length) return undefined;
    words.push(bytes.toString('latin1', line, line + size));
    at = line + size + CRLF;
  }
  return { words: [words[0].toUpperCase(), ...words.slice(1)], size: at };
}
