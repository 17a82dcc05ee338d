import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Lies {
  /** INFO says the second instead of what fits the first. */
  readonly info?: readonly (readonly [RegExp, string])[];
  /** Commands that are refused. */
  readonly refused?: readonly string[];
  /** Commands that it does not know, also within transactions. */
  readonly unknown?: readonly string[];
  /** RESTORE takes no payload of a later version of RDB. */
  readonly newest?: number;
  /** Commands that it closes the connection at. */
  readonly closes?: readonly string[];
  /** Milliseconds that TIME is ahead. */
  readonly ahead?: number;
}

const LF = 0x0a;

/** Stands between a client and a server, and changes what the server says of itself. */
export class RespProxy {
  /** Names of the commands that came, in their order. */
  readonly commands: string[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly listener: Server,
    private readonly target: number,
    private readonly lies: Lies,
  ) {
    listener.on('connection', (socket) => this.serve(socket));
  }

  static async start(target: number, lies: Lies): Promise<RespProxy> {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return new RespProxy(listener, target, lies);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.listener.address() as { port: number }).port}`;
  }

  private serve(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    /** Commands whose replies are yet to come, those that were refused here among them. */
    const waiting: string[] = [];
    let [asked, answered] = [Buffer.alloc(0), Buffer.alloc(0)];
    const reply = (): void => {
      for (let name = waiting.at(0); name !== undefined; name = waiting.at(0)) {
        const unknown = this.lies.unknown?.includes(name) === true;
        const refused = unknown || this.lies.refused?.includes(name) === true;
        const end = refused && !unknown ? 0 : endOf(answered, 0);
        if (end < 0) return;
        client.write(
          unknown
            ? `-ERR unknown command '${name}'\r\n`
            : refused
              ? `-NOPERM this user has no permissions to run the '${name}' command\r\n`
              : this.changed(name, answered.subarray(0, end)),
        );
        answered = answered.subarray(end);
        waiting.shift();
      }
    };
    client.on('data', (chunk) => {
      asked = Buffer.concat([asked, chunk]);
      for (let end = endOf(asked, 0); end >= 0; end = endOf(asked, 0)) {
        const command = asked.subarray(0, end);
        asked = asked.subarray(end);
        const name = command.toString('latin1').split('\r\n', 3)[2].toUpperCase();
        this.commands.push(name);
        if (this.lies.closes?.includes(name) === true) {
          client.destroy();
          server.destroy();
          return;
        }
        waiting.push(name);
        // the server has to refuse it, so that it spoils a transaction
        if (this.lies.unknown?.includes(name) === true) server.write('*1\r\n$4\r\nnone\r\n');
        else if (this.lies.refused?.includes(name) !== true) server.write(name === 'RESTORE' ? this.restoring(command) : command);
      }
      reply();
    });
    server.on('data', (chunk) => {
      answered = Buffer.concat([answered, chunk]);
      reply();
    });
    for (const [socket, other] of [[client, server], [server, client]]) {
      this.sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  }

  /** A payload that is too new gets a wrong checksum. */
  private restoring(command: Buffer): Buffer {
    const { newest = Infinity } = this.lies;
    let at = command.indexOf(LF) + 1;
    for (let arg = 0; arg < 3; arg++) at = endOf(command, at);
    const end = endOf(command, at) - 2;
    if (command.readUInt16LE(end - 10) <= newest) return command;
    const changed = Buffer.from(command);
    changed[end - 1] ^= 1;
    return changed;
  }

  private changed(name: string, reply: Buffer): Buffer {
    const { ahead = 0, info = [] } = this.lies;
    if (name === 'TIME') {
      const [, , seconds, , microseconds] = reply.toString('latin1').split('\r\n');
      const time = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000) + ahead;
      return Buffer.concat([Buffer.from('*2\r\n'), bulk(`${Math.floor(time / 1000)}`), bulk(`${(time % 1000) * 1000}`)]);
    }
    if (name !== 'INFO') return reply;
    return bulk(
      info.reduce((text, [from, to]) => text.replace(from, to), reply.toString('latin1', reply.indexOf(LF) + 1, reply.length - 2)),
    );
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

const bulk = (text: string): Buffer => Buffer.from(`$${Buffer.byteLength(text, 'latin1')}\r\n${text}\r\n`, 'latin1');

/** Where what begins at `at` ends, a reply or a command; -1 where that has not come yet. */
function endOf(bytes: Buffer, at: number): number {
  const line = bytes.indexOf(LF, at) + 1;
  if (line === 0) return -1;
  const first = String.fromCharCode(bytes[at]);
  const count = Number(bytes.toString('latin1', at + 1, line - 2));
  if (first === '$' && count >= 0) return line + count + 2 <= bytes.length ? line + count + 2 : -1;
  let end = line;
  for (let left = first === '*' ? count : 0; left > 0 && end >= 0; left--) end = endOf(bytes, end);
  return end;
}
