/**
 * Commands in RESP: `*n` and n arguments, each `$length` and its bytes, every part ending with CR LF. Only commands written by this
 * program are parsed here.
 */
const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;

const numberFrom = { value: 0, end: 0 };

/** The number after the byte at `at`, and the position after its line. */
function numberAt(bytes: Uint8Array, at: number): typeof numberFrom {
  let value = 0;
  let end = at + 1;
  for (; bytes[end] !== CR; end++) value = value * 10 + bytes[end] - 0x30;
  numberFrom.value = value;
  numberFrom.end = end + 2;
  return numberFrom;
}

/** The position after the command at `at`. */
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

/** The arguments of the command at `at`, including its name; views. */
export function commandArgs(bytes: Uint8Array, at: number): Uint8Array[] {
  const head = numberAt(bytes, at);
  let { end } = head;
  const args: Uint8Array[] = [];
  for (let left = head.value; left > 0; left--) {
    const { end: start, value } = numberAt(bytes, end);
    args.push(bytes.subarray(start, start + value));
    end = start + value + 2;
  }
  return args;
}

/** Where the last of the commands in `bytes` begins. */
export function lastCommand(bytes: Uint8Array): number {
  for (let at = 0; ; ) {
    const end = commandEnd(bytes, at);
    if (end >= bytes.length) return at;
    at = end;
  }
}

/** The commands in `bytes`; views. */
export function* commandsOf(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; ) {
    const end = commandEnd(bytes, at);
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** A command with these arguments. */
export function encodeCommand(args: readonly (string | Uint8Array)[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg, 'latin1') : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}
