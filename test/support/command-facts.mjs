/**
 * What a server says of its commands that write: `node test/support/command-facts.mjs HOST:PORT FILE.json.gz` writes a file of
 * fixtures/commands/. One array a command, as in the reply to COMMAND INFO: name, arity, flags, first, last, step, ACL categories and
 * tips (left out), key specifications.
 */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { Redis } from 'ioredis';

const [host, port] = (process.argv[2] ?? '127.0.0.1:6379').split(':');
const client = new Redis({ host, port: Number(port), protocol: 2 });
const info = await client.info('server');
const entryOf = ([name, , flags, , , , , , , parts = []]) => (parts.length > 0 ? parts : [[name, 0, flags]]);
const entries = (await client.call('COMMAND')).flatMap(entryOf);
const names = new Set(entries.filter(([, , flags]) => flags.includes('write')).map(([name]) => name));
const facts = [];
for (const name of [...names].sort()) {
  const [[, arity, flags, first, last, step, , , specs = []]] = await client.call('COMMAND', 'INFO', name);
  facts.push([name.toLowerCase(), arity, [...flags].sort(), first, last, step, [], [], specs]);
}
client.disconnect();
const version = /valkey_version:(\S+)/.exec(info)?.[1];
const server = version === undefined ? `Redis ${/redis_version:(\S+)/.exec(info)?.[1]}` : `Valkey ${version}`;
writeFileSync(process.argv[3], gzipSync(JSON.stringify({ server, commands: facts }), { level: 9 }));
