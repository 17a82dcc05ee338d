// Makes RDB files for bench/decode.mjs: with a redis-server of its own, or by repeating the keys of a file. No command of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Sends the commands to a redis-server started for it, and leaves what it saves at `path`. */
export async function saveRdb(path, commands) {
  const folder = mkdtempSync(join(tmpdir(), 'rdbkit-bench-'));
  const socketPath = join(folder, 'redis.sock');
  const partial = `${path}.partial`;
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socketPath, '--dir', dirname(path), '--dbfilename', basename(partial), '--save', ''], { stdio: 'ignore' });
  try {
    await once(server, 'spawn');
    rmSync(partial, { force: true });
    const socket = await connect(socketPath);
    const saved = replies(socket);
    const send = async (text) => socket.write(text, 'latin1') || (await Promise.race([once(socket, 'drain'), saved]));
    let batch = '';
    for (const command of commands) {
      batch += encode(command);
      if (batch.length < 1 << 20) continue;
      await send(batch);
      batch = '';
    }
    await send(batch + encode(['SAVE']) + encode(['ECHO', 'saved']));
    await saved;
    socket.destroy();
    renameSync(partial, path);
  } finally {
    if (server.exitCode === null && server.kill('SIGKILL')) await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
    rmSync(partial, { force: true });
  }
}

/** A command as the server reads it: one character is one byte. */
function encode(command) {
  let text = `*${command.length}\r\n`;
  for (const argument of command) {
    const string = String(argument);
    const bytes = Buffer.isBuffer(argument) ? argument.latin1Slice() : Buffer.byteLength(string) === string.length ? string : Buffer.from(string).latin1Slice();
    text += `$${bytes.length}\r\n${bytes}\r\n`;
  }
  return text;
}

/** Done when the answer to `ECHO saved` is there; fails with the first error. */
function replies(socket) {
  const saved = new Promise((resolve, reject) => {
    let tail = '\n';
    socket.on('data', (data) => {
      const text = tail + data.latin1Slice();
      const error = /\n-([^\r]*)/.exec(text);
      if (error !== null) reject(new Error(`redis-server: ${error[1]}`));
      if (text.endsWith('\r\nsaved\r\n')) resolve();
      tail = text.slice(-64);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('redis-server has gone')));
  });
  saved.catch(() => undefined); // whoever waits for it gets the error
  return saved;
}

async function connect(path) {
  for (let attempt = 0; ; attempt++) {
    try {
      const socket = createConnection(path);
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Writes a file of about `bytes` with the keys of the file `from`, again and again, and 0 for a checksum: "none". */
export function repeatRdb(from, to, bytes) {
  const file = readFileSync(from);
  const start = firstKey(file);
  const keys = file.subarray(start, -9);
  const output = openSync(to, 'w');
  writeFileSync(output, file.subarray(0, start));
  for (let i = 0; i < Math.max(1, Math.round(bytes / keys.length)); i++) writeFileSync(output, keys);
  writeFileSync(output, Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0]));
  closeSync(output);
}

/** Where the keys begin: behind the file information, the first database's number and its sizes. */
function firstKey(file) {
  const lengthAt = (at) => [1, 2, file[at] === 0x81 ? 9 : 5, 1][file[at] >> 6];
  const afterString = (at) => at + (file[at] >= 0xc0 ? 1 + 2 ** (file[at] & 3) : file[at] + 1); // a number, or a short text
  for (let at = 9; ; ) {
    const opcode = file[at++];
    if (opcode === 0xfa) at = afterString(afterString(at));
    else if (opcode === 0xfe) at += lengthAt(at);
    else if (opcode === 0xfb) at += lengthAt(at) + lengthAt(at + lengthAt(at));
    else return at - 1;
  }
}
