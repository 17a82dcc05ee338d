import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { AbstractConnector } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReadSlabs } from '../../src/redis/read-slabs.js';
import { noise } from '../support/support.js';
import { until } from '../support/until.js';

let server: Server;
let peers: Socket[];
let connector: AbstractConnector;

beforeEach(async () => {
  peers = [];
  server = createServer((peer) => peers.push(peer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  connector.disconnect();
  for (const peer of peers) peer.destroy();
  server.close();
});

async function connected(slabs: ReadSlabs): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  connector = new slabs.Connector({ host: '127.0.0.1', port, disconnectTimeout: 100 });
  const socket = (await connector.connect(() => undefined));
  await until('it is connected', () => peers.length > 0 && !socket.connecting);
  return socket;
}

test('what arrives stays as it is until it is released, and its memory is used again then', async () => {
  const slabs = new ReadSlabs();
  const socket = await connected(slabs);
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  const size = (): number => pieces.reduce((sum, { length }) => sum + length, 0);
  const sent = Buffer.from(noise(5_000_000));
  peers[0].write(sent);
  await until('it has arrived', () => size() === sent.length);
  expect(Buffer.concat(pieces).equals(sent)).toBe(true);
  const before = new Set(pieces.map(({ buffer }) => buffer));
  expect(before.size).toBeGreaterThanOrEqual(5);
  for (let i = 0; i + 1 < pieces.length; i++) {
    const [one, next] = [pieces[i], pieces[i + 1]];
    if (one.buffer === next.buffer) expect(next.byteOffset).toBe(one.byteOffset + one.length);
  }

  const [kept] = pieces.splice(0, 1); // all others are released, so that its slab is still in use
  const copy = Buffer.from(kept);
  for (const piece of pieces.splice(0)) slabs.release(piece);
  peers[0].write(sent);
  await until('it has arrived again', () => size() === sent.length);
  expect(Buffer.concat(pieces).equals(sent)).toBe(true);
  expect(kept.equals(copy)).toBe(true);
  const again = new Set(pieces.map(({ buffer }) => buffer));
  expect(again.has(kept.buffer)).toBe(false);
  expect([...again].filter((slab) => before.has(slab)).length).toBeGreaterThanOrEqual(4);
  slabs.release(new Uint8Array(5)); // of other memory
});

test('a socket that is paused reads nothing, and says when it ends', async () => {
  const socket = await connected(new ReadSlabs());
  let text = '';
  socket.on('data', (piece) => (text += piece.toString()));
  socket.pause();
  peers[0].write('first');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(text).toBe('');
  const over = once(socket, 'end');
  socket.resume();
  await until('it came', () => text === 'first');
  peers[0].end('last');
  await over;
  expect(text).toBe('firstlast');
});
