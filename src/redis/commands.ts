/*
 * Commands as they are sent (RESP): `*n` and n arguments, each `$length` and its bytes, all with CR LF behind them. What is
 * read here was written by this program.
 */
const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;

const numberFrom = { value: 0, end: 0 };

/** The number behind the byte at `at`, and the position behind its line. */
function numberAt(bytes: Uint8Array, at: number): typeof numberFrom {
  let value = 0;
  let end = at + 1;
  for (; bytes[end] !== CR; end++) value = value * 10 + bytes[end] - 0x30;
  numberFrom.value = value;
  numberFrom.end = end + 2;
  return numberFrom;
}

/** The position behind the command at `at`. */
export function commandEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== ASTERISK) throw new TypeError('no command begins here');
  let { end, value: args } = numberAt(bytes, at);
  for (; args > 0; args--) {
    if (bytes[end] !== DOLLAR) throw new TypeError('no argument begins here');
    const size = numberAt(bytes, end);
    end = size.end + size.value + 2;
  }
  return end;
}

/** The arguments of the command at `at`, its name among them; views. */
export function commandArgs(bytes: Uint8Array, at: number): Uint8Array[] {
  const head = numberAt(bytes, at);
  let { end } = head;
  return Array.from({ length: head.value }, () => {
    const size = numberAt(bytes, end);
    const start = size.end;
    end = start + size.value + 2;
    return bytes.subarray(start, start + size.value);
  });
}

/** The commands of a row of them; views. */
export function* commandsOf(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; ) {
    const end = commandEnd(bytes, at);
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** A command of these arguments. */
export function encodeCommand(args: readonly (string | Uint8Array)[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg, 'latin1') : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

/** What a key restores: the arguments of its last command, which is RESTORE. */
export interface Restored {
  readonly key: Uint8Array;
  /** Milliseconds, as in the command. */
  readonly ttl: bigint;
  readonly payload: Uint8Array;
  /** What stands behind the payload. */
  readonly modifiers: readonly string[];
}

export function restoredBy(bytes: Uint8Array): Restored {
  let last = bytes;
  for (const command of commandsOf(bytes)) last = command;
  const [, key, ttl, payload, ...modifiers] = commandArgs(last, 0);
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  return { key, ttl: BigInt(text(ttl)), payload, modifiers: modifiers.map(text) };
}

/** The same key with a relative expiry that is `elapsed` milliseconds shorter. */
export function withElapsed(bytes: Uint8Array, elapsed: number): Uint8Array {
  const commands = [...commandsOf(bytes)];
  const [name, key, ttl, ...rest] = commandArgs(commands[commands.length - 1], 0);
  const before = Number(Buffer.from(ttl).toString('latin1'));
  if (before === 0) return bytes;
  commands[commands.length - 1] = encodeCommand([name, key, `${Math.max(1, before - elapsed)}`, ...rest]);
  return Buffer.concat(commands);
}
