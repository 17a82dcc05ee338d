import { createConnection, type Socket, type TcpNetConnectOpts } from 'node:net';
import { AbstractConnector } from 'ioredis';

/** Bytes of a slab, and of the room that is left for a read at least. */
const SLAB = 1 << 20;
const LEAST = 64 << 10;
/** Slabs that wait to be used again, at most. */
const MOST_FREE = 16;

/** How many pieces of a slab are in use, with one more as long as a socket reads to it. */
interface Use {
  pieces: number;
}

/**
 * Memory that sockets read into, reused once its owner has released it. Otherwise every read allocates a buffer, and V8 marks its whole
 * heap each time they add up to a few megabytes: that took a third of the CPU time of a sync at 600,000 writes a second. The garbage
 * collector takes what is never released.
 */
export class ReadSlabs {
  private readonly free: ArrayBuffer[] = [];
  private readonly uses = new WeakMap<ArrayBufferLike, Use>();

  /** A slab of which nothing is in use. It counts as used once. */
  take(): ArrayBuffer {
    const slab = this.free.pop() ?? new ArrayBuffer(SLAB);
    this.uses.set(slab, { pieces: 1 });
    return slab;
  }

  /** Another piece of it is in use. */
  hold(slab: ArrayBuffer): void {
    const use = this.uses.get(slab);
    if (use !== undefined) use.pieces++;
  }

  /** The bytes of one read are not looked at any more: others may take their place. Those of other memory may be given, too. */
  release({ buffer }: { readonly buffer: ArrayBufferLike }): void {
    const use = this.uses.get(buffer);
    if (use === undefined || --use.pieces > 0) return;
    this.uses.delete(buffer);
    if (this.free.length < MOST_FREE) this.free.push(buffer as ArrayBuffer);
  }

  /** What ioredis connects with, so that the socket reads to slabs. Not for TLS, nor for sentinels. */
  get Connector(): new (options: unknown) => AbstractConnector {
    const connect = (options: TcpNetConnectOpts): Socket => this.connect(options);
    return class extends AbstractConnector {
      constructor(private readonly options: unknown) {
        super((options as { readonly disconnectTimeout: number }).disconnectTimeout);
      }

      connect(): Promise<Socket> {
        const { family, host, path, port } = this.options as TcpNetConnectOpts & { readonly path?: string };
        this.connecting = true;
        this.stream = connect(typeof path === 'string' ? ({ path } as unknown as TcpNetConnectOpts) : { host, port, family });
        this.stream.once('error', (error) => (this.firstError = error));
        return Promise.resolve(this.stream);
      }
    };
  }

  private connect(options: TcpNetConnectOpts): Socket {
    let slab = this.take();
    let at = 0;
    const socket = createConnection({
      ...options,
      onread: {
        buffer: () => {
          if (SLAB - at < LEAST) {
            this.release({ buffer: slab });
            slab = this.take();
            at = 0;
          }
          return new Uint8Array(slab, at);
        },
        callback: (bytes) => {
          this.hold(slab);
          const piece = Buffer.from(slab, at, bytes);
          at += bytes;
          socket.emit('data', piece);
          return true;
        },
      },
    });
    return socket;
  }
}
