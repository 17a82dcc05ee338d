// The least that a client has to do: sends commands from files, each to its server, and throws the answers away. All servers at once.
// No command of its own: see bench/live.mjs.
//
//     node bench/bare.mjs PORT FILE [PORT FILE]
//     node bench/bare.mjs --prepare PORT FILE     writes SCAN, and DUMP and PEXPIRETIME of every key, as a scan of the server sends them
//     node bench/bare.mjs --copy PORT PORT        a plain loop: SCAN, DUMP and PEXPIRETIME from one server, RESTORE into the other
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

/** Asks a server, and reads so many replies: bulk strings, numbers and the elements of arrays, in one list. */
function asker(socket) {
  let bytes = Buffer.alloc(0);
  let [due, found, done] = [0, [], () => undefined];
  const read = () => {
    let at = 0;
    while (due > 0) {
      const end = bytes.indexOf(10, at);
      if (end < 0) break;
      const number = Number(bytes.latin1Slice(at + 1, end - 1));
      const [kind, next] = [bytes[at], end + 1];
      if (kind === 0x2d) throw new Error(bytes.latin1Slice(at, end));
      if (kind === 0x24 && number >= 0 && next + number + 2 > bytes.length) break;
      if (kind === 0x2a) due += number;
      else found.push(kind === 0x3a ? number : number < 0 ? undefined : bytes.subarray(next, next + number));
      at = kind === 0x24 && number >= 0 ? next + number + 2 : next;
      due--;
    }
    bytes = bytes.subarray(at);
    if (due === 0) done(found);
  };
  socket.on('data', (data) => {
    bytes = bytes.length === 0 ? data : Buffer.concat([bytes, data]);
    read();
  });
  return (request, replies) =>
    new Promise((resolve) => {
      [due, found, done] = [replies, [], resolve];
      socket.write(request);
    });
}

/** Commands put together without a buffer for each of their words. */
class Commands {
  bytes = Buffer.alloc(1 << 16);
  length = 0;

  add(...args) {
    const size = args.reduce((sum, arg) => sum + arg.length + 20, 20);
    if (this.length + size > this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.alloc(this.bytes.length + size)]);
    this.text(`*${args.length}\r\n`);
    for (const arg of args) {
      this.text(`$${arg.length}\r\n`);
      if (typeof arg === 'string') this.text(arg);
      else this.length += arg.copy(this.bytes, this.length);
      this.text('\r\n');
    }
  }

  text(text) {
    this.length += this.bytes.latin1Write(text, this.length);
  }

  take() {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }
}

/** 500 keys at a time, with the next SCAN; up to 8,000 RESTOREs are on their way meanwhile. */
async function copy(from, to) {
  const [source, target] = [from, to].map((port) => createConnection(Number(port), '127.0.0.1').setNoDelay(true));
  const ask = asker(source);
  let [unanswered, wake] = [0, () => undefined];
  target.on('data', (data) => {
    if (data.includes('-')) throw new Error(data.toString('latin1'));
    unanswered -= data.length / '+OK\r\n'.length;
    wake();
  });
  const until = async (most) => {
    while (unanswered > most) await new Promise((done) => (wake = done));
  };
  let [cursor, ...keys] = await ask(command('SCAN', '0', 'COUNT', '500'), 1);
  for (;;) {
    const [questions, restores] = [new Commands(), new Commands()];
    for (const key of keys) {
      questions.add('DUMP', key);
      questions.add('PEXPIRETIME', key);
    }
    const last = cursor.latin1Slice() === '0';
    if (!last) questions.add('SCAN', cursor, 'COUNT', '500');
    const answers = await ask(questions.take(), 2 * keys.length + (last ? 0 : 1));
    for (const [i, key] of keys.entries()) {
      const [payload, expiry] = [answers[2 * i], answers[2 * i + 1]];
      if (payload === undefined) continue;
      unanswered++;
      if (expiry > 0) restores.add('RESTORE', key, String(expiry), payload, 'REPLACE', 'ABSTTL');
      else restores.add('RESTORE', key, '0', payload, 'REPLACE');
    }
    target.write(restores.take());
    if (last) break;
    [cursor, ...keys] = answers.slice(2 * keys.length);
    await until(8000);
  }
  await until(0);
  source.destroy();
  target.destroy();
}

const args = process.argv.slice(2);
if (args[0] === '--prepare') await prepare(args[1], args[2]);
else if (args[0] === '--copy') await copy(args[1], args[2]);
else await Promise.all(args.flatMap((port, i) => (i % 2 === 0 ? [send(port, args[i + 1])] : [])));
