import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { StatusBoard } from '../../src/status/board.js';
import { StatusServer } from '../../src/status/server.js';
import { parseMetrics } from '../support/prometheus-text.js';
import { COPY, FACTS, fields, lane } from '../support/status-facts.js';

const servers: StatusServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function open(host = '127.0.0.1', board = new StatusBoard(FACTS)): Promise<StatusServer> {
  const server = await StatusServer.open(board, { host, port: 0 });
  servers.push(server);
  return server;
}

interface Answer {
  readonly code: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

async function ask(server: StatusServer, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const { hostname, port } = new URL(server.url);
  const sent = request({ host: hostname.replace(/[[\]]/g, ''), port, path, method, headers, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer> & { statusCode?: number; headers: Answer['headers'] }];
  let body = '';
  for await (const chunk of response) body += chunk.toString();
  return { code: response.statusCode, headers: response.headers, body };
}

test('the status and its history, as JSON', async () => {
  const board = new StatusBoard(FACTS);
  board.take(fields(), COPY, 5);
  const server = await open('127.0.0.1', board);
  const status = await ask(server, '/status?x=1');
  expect([status.code, status.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
  expect(JSON.parse(status.body)).toEqual(JSON.parse(JSON.stringify(board.now)));
  expect(JSON.parse((await ask(server, '/history')).body)).toMatchObject({ samples: [{ at: 5, lagSeconds: 0.02, opsPerSecond: 41_000 }] });
});

test('the metrics, as Prometheus asks for them', async () => {
  const server = await open();
  const { body, code, headers } = await ask(server, '/metrics', {
    accept: 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4',
  });
  expect([code, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  expect(parseMetrics(body).has('rdbkit_sync_info')).toBe(true);
});

test('whether it is well', async () => {
  const board = new StatusBoard(FACTS);
  const server = await open('127.0.0.1', board);
  const health = async () => {
    const { body, code } = await ask(server, '/healthz');
    return [code, body];
  };
  expect(await health()).toEqual([503, 'connecting to source and target\n']);
  board.take(fields(), COPY);
  expect(await health()).toEqual([200, 'ok\n']);
  const lost = [lane({ connected: false, name: 'a\u001b[31m\n' })];
  board.take(fields({ seconds: 101, lanes: lost }), COPY);
  board.take(fields({ seconds: 112, lanes: lost }), COPY);
  expect(await health()).toEqual([503, 'no connection to a?[31m? for 11 s\n']);
});

describe('strictness', () => {
  test('the page may load and run nothing but its own', async () => {
    const { body, headers } = await ask(await open(), '/');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; img-src data:; connect-src 'self'; /);
    expect(policy).toMatch(/; frame-ancestors 'none'$/);
    expect(body).not.toMatch(/<!--(?:policy|style|script|licences)-->/);
  });

  test.each(['/', '/status', '/history', '/metrics', '/healthz', '/none'])(
    '%s is not kept, framed, or taken for something else',
    async (path) => {
      expect((await ask(await open(), path)).headers).toMatchObject({
        ...{ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' },
        ...{ 'cross-origin-resource-policy': 'same-origin', 'referrer-policy': 'no-referrer' },
        'content-security-policy': expect.stringMatching(/^default-src 'none'; .*frame-ancestors 'none'$/) as string,
      });
    },
  );

  test('only GET and HEAD, only what there is', async () => {
    const server = await open();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const { code, headers } = await ask(server, '/status', {}, method);
      expect([code, headers['allow']]).toEqual([405, 'GET, HEAD']);
    }
    const head = await ask(server, '/', {}, 'HEAD');
    expect([head.code, head.body, Number(head.headers['content-length']) > 10_000]).toEqual([200, '', true]);
    for (const path of ['/x', '/status/', '/../status', '/constructor', '/__proto__', '//status'])
      expect((await ask(server, path)).code).toBe(404);
  });

  test('no other name than its own: a page of another site may have turned its name to this address', async () => {
    const server = await open();
    for (const host of ['evil.example', 'evil.example:9121', 'localhost.evil.example', '127.0.0.1.evil.example', '[::1].evil']) {
      expect([host, (await ask(server, '/status', { host })).code]).toEqual([host, 403]);
    }
    for (const host of ['127.0.0.1', '127.0.0.1:9121', 'localhost:1', 'LOCALHOST', '[::1]:9121', '10.0.0.5']) {
      expect([host, (await ask(server, '/status', { host })).code]).toEqual([host, 200]);
    }
    expect((await ask(await open('localhost'), '/healthz', { host: 'localhost' })).code).toBe(503);
  });

  test('what is no request', async () => {
    const server = await open();
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.end('AUTH password\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
    expect((await ask(server, '/metrics')).code).toBe(200);
  });
});

test('IPv6', async () => {
  const server = await open('::1');
  expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+\/$/);
  expect((await ask(server, '/metrics')).code).toBe(200);
});

test('a port that is taken', async () => {
  const server = await open();
  const again = StatusServer.open(new StatusBoard(FACTS), { host: '127.0.0.1', port: Number(new URL(server.url).port) });
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('closing cuts off who is connected', async () => {
  const server = await open();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  server.close();
  await once(socket, 'close');
});
