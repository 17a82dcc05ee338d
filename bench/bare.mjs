// The least that a client has to do: sends commands from files, each to its server, and throws the answers away. All servers at once.
// No command of its own: see bench/live.mjs.
//
//     node bench/bare.mjs PORT FILE [PORT FILE]
//     node bench/bare.mjs --prepare PORT FILE     writes SCAN, and DUMP and PEXPIRETIME of every key, as a scan of the server sends them
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createConnection } from 'node:net';
import { once } from 'node:events';

const command = (...args) => Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...args.flatMap((arg) => [Buffer.from(`$${arg.length}\r\n`), Buffer.from(arg), Buffer.from('\r\n')])]);
const END = 'end-of-the-answers';

async function send(port, file) {
  const socket = createConnection(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  let tail = '';
  const answered = new Promise((done, fail) => {
    socket.on('data', (data) => {
      tail = (tail + data.latin1Slice(Math.max(0, data.length - 64))).slice(-64);
      if (tail.endsWith(`${END}\r\n`)) done();
    });
    socket.on('close', () => fail(new Error('the server closed the connection')));
  });
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 })) if (!socket.write(chunk)) await once(socket, 'drain');
  socket.write(command('ECHO', END));
  await answered;
  socket.destroy();
}

/** 500 keys at a time, and the next SCAN before each of them. */
async function prepare(port, file) {
  const output = openSync(file, 'w');
  const socket = createConnection(Number(port), '127.0.0.1');
  let cursor = '0';
  do {
    const scan = command('SCAN', cursor, 'COUNT', '500');
    writeSync(output, scan);
    socket.write(scan);
    const [next, keys] = await scanReply(socket);
    cursor = next;
    for (const key of keys) writeSync(output, Buffer.concat([command('DUMP', key), command('PEXPIRETIME', key)]));
  } while (cursor !== '0');
  socket.destroy();
  closeSync(output);
}

/** Cursor and keys; keys are short here. */
async function scanReply(socket) {
  let bytes = Buffer.alloc(0);
  for (;;) {
    bytes = Buffer.concat([bytes, (await once(socket, 'data'))[0]]);
    const parts = [];
    let at = 0;
    const line = () => {
      const end = bytes.indexOf('\r\n', at);
      if (end < 0) return NaN;
      const number = Number(bytes.latin1Slice(at + 1, end));
      at = end + 2;
      return number;
    };
    const string = () => {
      const size = line();
      const from = at;
      at += size + 2;
      return at <= bytes.length ? bytes.subarray(from, from + size) : undefined;
    };
    line();
    const cursor = string();
    const count = cursor === undefined ? NaN : line();
    for (let i = 0; i < count; i++) {
      const key = string();
      if (key === undefined) break;
      parts.push(key);
    }
    if (parts.length === count) return [cursor.latin1Slice(), parts];
  }
}

const args = process.argv.slice(2);
if (args[0] === '--prepare') await prepare(args[1], args[2]);
else await Promise.all(args.flatMap((port, i) => (i % 2 === 0 ? [send(port, args[i + 1])] : [])));
