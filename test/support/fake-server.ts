import { createServer, type Server, type Socket } from 'node:net';

/** What a fake server does on a command: a reply in RESP, nothing, or an end of the connection, perhaps behind some bytes. */
export type Answer = string | undefined | { readonly close: string };

/** What a server would answer. */
export const USUAL = Symbol('usual');

type Answers = (command: readonly string[], count: number) => Answer | typeof USUAL;

export const OK = '+OK\r\n';

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Slots and who has them; a node without a host does not know its own. */
export type SlotRange = readonly [from: number, to: number, node: { readonly host: string | null; readonly port: number }];

/** The reply to CLUSTER SLOTS. The ids of nodes are their ports. */
export function slotsReply(...ranges: readonly SlotRange[]): string {
  const rows = ranges.map(([from, to, { host, port }]) => `*3\r\n:${from}\r\n:${to}\r\n*3\r\n${host === null ? '$-1\r\n' : bulk(host)}:${port}\r\n${bulk(`${port}`)}`);
  return `*${ranges.length}\r\n${rows.join('')}`;
}

/** A server that is none: it records commands and says what it is told to say. Arguments are latin-1. */
export class FakeServer {
  readonly commands: string[][] = [];
  connections = 0;
  readonly port: number;
  private readonly sockets = new Set<Socket>();
  private readonly counts = new Map<string, number>();

  private constructor(
    private readonly listener: Server,
    /** What it says of itself; may be changed. */
    readonly info: Record<string, string>,
    private readonly answers: Answers,
  ) {
    this.port = (listener.address() as { port: number }).port;
    listener.on('connection', (socket) => this.serve(socket));
  }

  /** `info` stands in INFO; `count` of an answer counts the commands of the same name, from 1. */
  static async start(info: Readonly<Record<string, string>>, answers: Answers = () => USUAL): Promise<FakeServer> {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return new FakeServer(listener, { redis_mode: 'standalone', role: 'master', ...info }, answers);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** The commands of these names, without the payloads. */
  sent(...names: string[]): string[] {
    return this.commands.filter(([name]) => names.includes(name)).map((command) => command.filter((_, i) => command[0] !== 'RESTORE' || i !== 3).join(' '));
  }

  private serve(socket: Socket): void {
    this.connections++;
    this.sockets.add(socket);
    let pending = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      for (let taken = parse(pending); taken !== undefined; taken = parse(pending)) {
        pending = pending.subarray(taken.end);
        this.take(socket, taken.command);
      }
    });
  }

  private take(socket: Socket, command: string[]): void {
    if (command.length === 0) return; // not an array: somebody asks what it is
    const name = command[0].toUpperCase();
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    command[0] = name;
    this.commands.push(command);
    const chosen = this.answers(command, count);
    const answer = chosen === USUAL ? this.usual(name, command) : chosen;
    if (typeof answer === 'string') socket.write(Buffer.from(answer, 'latin1'));
    else if (answer !== undefined) socket.end(Buffer.from(answer.close, 'latin1'));
  }

  private usual(name: string, [, argument]: readonly string[]): string {
    if (name === 'INFO') return bulk(Object.entries(this.info).map(([field, value]) => `${field}:${value}\r\n`).join(''));
    if (name === 'SELECT' && Number(argument) >= 16) return '-ERR DB index is out of range\r\n';
    if (name === 'TIME') return `*2\r\n${bulk(`${Math.floor(Date.now() / 1000)}`)}${bulk(`${(Date.now() % 1000) * 1000}`)}`;
    if (name === 'EXISTS' || name === 'DEL') return ':0\r\n';
    return OK;
  }

  /** Takes no more connections, and ends those that there are when what was said is sent. */
  leave(): void {
    if (this.listener.listening) this.listener.close();
    for (const socket of this.sockets) socket.end();
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.listener.listening) return;
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

/** The command at the beginning, and where it ends. */
function parse(bytes: Buffer): { command: string[]; end: number } | undefined {
  let at = 0;
  const line = (): string | undefined => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const text = bytes.toString('latin1', at, end);
    at = end + 2;
    return text;
  };
  const head = line();
  if (head === undefined) return undefined;
  const command: string[] = [];
  for (let left = Number(head.slice(1)); left > 0; left--) {
    const size = line();
    if (size === undefined) return undefined;
    const length = Number(size.slice(1));
    if (at + length + 2 > bytes.length) return undefined;
    command.push(bytes.toString('latin1', at, at + length));
    at += length + 2;
  }
  return { command, end: at };
}
