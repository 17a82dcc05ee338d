import type { ErrorCode } from '../commands/terms.js';

const RECOPY = 'The file is damaged: compare its checksum with the original and copy it again, or take a new one with BGSAVE.';
const DAMAGED_VALUE = `${RECOPY} If a server loads it, please report a bug in rdbkit.`;

/** The part of a hint for commands with that option. */
export const KEEP_GOING = ', or skip bad lines with --keep-going';

/** The same for commands that read standard input. */
export const OR_STDIN = ', or - for standard input';

/** What to do next, by error code. */
export const HINTS: Readonly<Record<ErrorCode, string>> = {
  EMPTY_INPUT: 'It has no bytes: check the command that wrote it, or take a new RDB with BGSAVE.',
  NOT_RDB: 'Check what it is (file, head -c 100): it may be an error page or an archive. RDB files are copied in binary mode.',
  AOF: 'Name the .base.rdb file of the AOF, or take an RDB of its server: rdbkit dump redis://host:port.',
  UNSUPPORTED_VERSION: 'Try a newer rdbkit, or drop --strict to read as far as possible.',
  UNSUPPORTED_TYPE: 'Try a newer rdbkit, or load the file into a server that has the type, delete such keys and save it again.',
  UNKNOWN_OPCODE: 'The file is damaged, or a newer or modified server wrote it: copy it again, or try a newer rdbkit.',
  TRUNCATED: 'The file is incomplete: copy it again, or take a new one with BGSAVE.',
  BAD_LENGTH: RECOPY,
  BAD_STRING: RECOPY,
  BAD_NUMBER: DAMAGED_VALUE,
  BAD_LZF: DAMAGED_VALUE,
  BAD_LISTPACK: DAMAGED_VALUE,
  BAD_ZIPLIST: DAMAGED_VALUE,
  BAD_ZIPMAP: DAMAGED_VALUE,
  BAD_INTSET: DAMAGED_VALUE,
  BAD_QUICKLIST: DAMAGED_VALUE,
  BAD_HASH: DAMAGED_VALUE,
  BAD_ZSET: DAMAGED_VALUE,
  BAD_STREAM: DAMAGED_VALUE,
  BAD_BITMAP: DAMAGED_VALUE,
  BAD_MODULE: DAMAGED_VALUE,
  BAD_TEMPLATE: DAMAGED_VALUE,
  BAD_ARRAY: DAMAGED_VALUE,
  DUPLICATE: 'Servers do not load such a value: delete the key where it comes from, or write it again there.',
  EMPTY_VALUE: 'Servers skip such keys in files and refuse them in RESTORE: delete the key where it comes from.',
  BAD_PAYLOAD:
    'Give the reply of DUMP as raw bytes, base64, hex, or as redis-cli prints it (--from names the form), ' +
    'or lines of rdbkit dump --format payload.',
  CHECKSUM: 'Some bytes have changed since the file was written: copy it again, or read it as it is with --no-checksum.',
  TRAILING_DATA:
    'Expected one RDB per file: pass concatenated files as separate sources. Without --strict, other data at the end is only a warning.',
  BAD_COMPRESSION:
    'Test it with gzip -t, lz4 -t or zstd -t, and copy it again, or compress it again in the usual format (lz4: without -l). ' +
    'If Valkey compressed the RDB itself (VCS), take a new one, if need be with rdbcompression lzf.',
  UNSUPPORTED_COMPRESSION:
    'Run rdbkit with Node 22.15 or later, or decompress it first: zstd -dc FILE | rdbkit decode - ' +
    '(an RDB that Valkey compressed itself, which begins with VCS: tail -c +8 FILE | zstd -dc | rdbkit decode -).',
  INPUT_CHANGED: 'Something wrote to it while it was read: wait for BGSAVE or the copy to end, or read a copy.',
  BAD_JSON: `Expected one JSON object per line, in UTF-8: fix or remove the line${KEEP_GOING}.`,
  BAD_LINE: `Fix the line (see docs/json-lines.md) or remove it${KEEP_GOING}.`,
  BAD_SPOOL: 'It cannot be read: name another folder with --spool, or remove it; what it held is then copied again from the source.',
  READ_FAILED: `Name a readable file${OR_STDIN}.`,
  SOURCE_LOST: 'Run the command again; --retry-for waits longer for a server that comes back.',
  SOURCE_REFUSED: 'The commands that a source has to allow are in docs/live.md, "The least rights".',
};

const RETAKE = 'Take it again with DUMP, and check what may change bytes on the way: a shell, a terminal, a text encoding.';

/** The same for a DUMP payload. */
export function payloadHint(code: ErrorCode): string {
  if (code === 'BAD_PAYLOAD' || code === 'READ_FAILED' || code === 'UNSUPPORTED_COMPRESSION') return HINTS[code];
  if (code === 'CHECKSUM') return `${RETAKE} rdbkit payload decode --no-checksum decodes it as it is.`;
  if (code === 'UNKNOWN_OPCODE') return `${RETAKE} If a newer or modified server wrote it, try a newer rdbkit.`;
  if (code === 'DUPLICATE' || code === 'EMPTY_VALUE') {
    return 'No server restores it. Take it again with DUMP from its source; if it is the same there, delete the key and write it again.';
  }
  return code.startsWith('BAD_')
    ? `${RETAKE} Do not restore it: a damaged value can crash a server. ` +
        'If you are sure that it is intact, please report a bug in rdbkit.'
    : RETAKE;
}
