import type { StreamCommand } from '../../src/sync/stream-command.js';

/** A command as the parser of a stream gives it, between other bytes. */
export function streamCommand(...args: readonly (string | Uint8Array)[]): StreamCommand {
  const parts: Buffer[] = [Buffer.from(`PING\r\n*${args.length}\r\n`)];
  let at = parts[0].length;
  const starts: number[] = [];
  const ends: number[] = [];
  for (const arg of args) {
    const bytes = Buffer.from(arg as string);
    const head = Buffer.from(`$${bytes.length}\r\n`);
    starts.push(at + head.length);
    ends.push(at + head.length + bytes.length);
    parts.push(head, bytes, Buffer.from('\r\n'));
    at += head.length + bytes.length + 2;
  }
  const bytes = new Uint8Array(Buffer.concat([...parts, Buffer.from('more')]));
  // places beyond the arguments are those of an earlier command
  return {
    bytes,
    start: 6,
    end: at,
    args: args.length,
    kept: args.length,
    starts: Int32Array.from([...starts, 0, 0]),
    ends: Int32Array.from([...ends, 4, 4]),
    size: at - 6,
    offset: 0,
  };
}
