import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { readFileSync } from 'node:fs';
import { type AddressInfo, isIP } from 'node:net';
import type { StatusBoard } from './board.js';
import { METRICS_TYPE, metricsText } from './metrics.js';

/** Where to listen; port 0 is any that is free. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** Milliseconds for a request to come, and between two on one connection: the page asks each second. */
const PATIENCE = 5000;
const MOST_CONNECTIONS = 64;

/** No answer may be framed, kept, taken for another type, or read by the pages of others. */
const STRICT = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const;
const FRAMES = "frame-ancestors 'none'";

interface Answer {
  readonly code?: number;
  readonly type?: string;
  readonly policy?: string;
  readonly body: string;
}

/** Answers over HTTP where a sync stands. It keeps no process alive. */
export class StatusServer {
  private constructor(
    private readonly server: Server,
    private readonly address: ListenAddress,
  ) {}

  /** Throws what listening throws. */
  static async open(board: StatusBoard, address: ListenAddress): Promise<StatusServer> {
    const page = readFileSync(new URL('./status-page.html', import.meta.url), 'utf8');
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? "default-src 'none'";
    const paths: Readonly<Record<string, () => Answer | Promise<Answer>>> = {
      '/': () => ({ type: 'text/html; charset=utf-8', policy, body: page }),
      '/status': () => ({ type: JSON_TYPE, body: `${JSON.stringify(board.now)}\n` }),
      '/history': () => ({ type: JSON_TYPE, body: `${JSON.stringify(board.history)}\n` }),
      '/metrics': async () => ({ type: METRICS_TYPE, body: await metricsText(board.now) }),
      '/healthz': () => healthOf(board.now.unwell),
    };
    const answerTo = ({ headers, method = '', url = '' }: IncomingMessage): Answer | Promise<Answer> => {
      if (!isOurs(headers.host, address.host)) {
        return { code: 403, body: 'This name is not the one that --status was given: use its address, or the name that it was given.\n' };
      }
      if (method !== 'GET' && method !== 'HEAD') return { code: 405, body: 'Only GET and HEAD.\n' };
      const [path] = url.split('?', 1);
      return Object.hasOwn(paths, path) ? paths[path]() : { code: 404, body: `Only ${Object.keys(paths).join(' ')}\n` };
    };
    const server = createServer(
      { maxHeaderSize: 8192, headersTimeout: PATIENCE, requestTimeout: PATIENCE, keepAliveTimeout: PATIENCE },
      (request, response) => {
        void Promise.resolve(answerTo(request))
          .catch((error: unknown): Answer => ({ code: 500, body: `${String(error)}\n` }))
          .then((answer) => send(request, response, answer));
      },
    );
    server.maxConnections = MOST_CONNECTIONS;
    server.on('connection', (socket) => socket.unref());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address.port, address.host, resolve);
    });
    server.on('error', () => undefined); // too many open files: who asks is not answered, and the sync goes on
    server.unref();
    return new StatusServer(server, address);
  }

  /** Of the page. */
  get url(): string {
    const { host } = this.address;
    const { port } = this.server.address() as AddressInfo;
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}/`;
  }

  /** Who is connected is cut off. */
  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function healthOf(unwell: string | undefined): Answer {
  if (unwell === undefined) return { body: 'ok\n' };
  return { code: 503, body: `${unwell.replace(/\p{C}/gu, '?')}\n` };
}

/**
 * Whether a request is meant for this server. Of a page whose own name was turned to this address (DNS rebinding) the browser sends that
 * name, so only addresses, localhost and the name that was given are taken. HTTP 1.0 may send none; no browser does that.
 */
function isOurs(sent: string | undefined, given: string): boolean {
  if (sent === undefined) return true;
  const name = sent
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return isIP(name) !== 0 || name === 'localhost' || name === given.toLowerCase();
}

function send({ method }: IncomingMessage, response: ServerResponse, { body, code = 200, policy, type = TEXT_TYPE }: Answer): void {
  response.writeHead(code, {
    ...STRICT,
    'content-security-policy': policy === undefined ? `default-src 'none'; ${FRAMES}` : `${policy}; ${FRAMES}`,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    ...(code === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(method === 'HEAD' ? undefined : body);
}
