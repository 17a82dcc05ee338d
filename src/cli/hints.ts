import type { ErrorCode } from '../commands/terms.js';

const RECOPY = 'The file is damaged: compare its checksum with the original and copy it again, or take a new one with BGSAVE.';
const DAMAGED_VALUE = `${RECOPY} If the server itself loads it, please report this as a bug of rdbkit.`;

/** What a person can do next, by the code of the error. */
export const HINTS: Readonly<Record<ErrorCode, string>> = {
  EMPTY_INPUT: 'Nothing was written to it: look at the command that made it, or take a new RDB with BGSAVE.',
  NOT_RDB: 'Look at what it is (file, head -c 100): perhaps an error page, an AOF, an archive, or an RDB that was copied as text.',
  AOF: 'Name the .base.rdb file of the AOF, or take an RDB of its server with BGSAVE or redis-cli --rdb.',
  UNSUPPORTED_VERSION: 'Look for a newer rdbkit, or leave out --strict to read on until something unknown comes.',
  UNSUPPORTED_TYPE: 'Look for a newer rdbkit, or load the file into a server that has the type, and save it again without such keys.',
  UNKNOWN_OPCODE: 'Either the file is damaged, or a newer or changed server wrote it: copy it again, and look for a newer rdbkit.',
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
  BAD_PAYLOAD:
    'Give what the command DUMP returns: as bytes, in base64 or hex, or as redis-cli shows it; --from says which. ' +
    'Lines as rdbkit dump --format payload writes them.',
  CHECKSUM: 'Some bytes have changed since the server wrote them: copy it again. --no-checksum reads it as it is.',
  TRAILING_DATA:
    'One RDB per file: give files that were joined as separate sources. Without --strict, other data at the end is only a warning.',
  BAD_COMPRESSION:
    'Test it with gzip -t, lz4 -t or zstd -t, and copy it again, or compress it again in the usual format (lz4: without -l). ' +
    'Of an RDB that Valkey compressed itself (VCS), take a new one, with rdbcompression lzf if need be.',
  UNSUPPORTED_COMPRESSION:
    'Run rdbkit with Node 22.15 or later, or decompress it first: zstd -dc FILE | rdbkit decode - ' +
    '(an RDB that Valkey compressed itself, which begins with VCS: tail -c +8 FILE | zstd -dc | rdbkit decode -).',
  INPUT_CHANGED: 'Something wrote to it while it was read: wait for BGSAVE or the copy to end, or read a copy.',
  BAD_JSON: 'One JSON object per line, in UTF-8: fix the line, or leave it out; --keep-going writes the other lines.',
  BAD_LINE: 'Fix the line (see docs/json-lines.md), or leave it out; --keep-going writes the other lines.',
  READ_FAILED: 'Name a file that exists and may be read, or - for standard input.',
};

const RETAKE = 'Take it again with DUMP, and look for what changes bytes on the way: a shell, a terminal, a text encoding.';

/** The same for a DUMP payload. */
export function payloadHint(code: ErrorCode): string {
  if (code === 'BAD_PAYLOAD' || code === 'READ_FAILED' || code === 'UNSUPPORTED_COMPRESSION') return HINTS[code];
  if (code === 'CHECKSUM') return `${RETAKE} rdbkit payload decode --no-checksum decodes it as it is.`;
  if (code === 'UNKNOWN_OPCODE') return `${RETAKE} If it is of a newer or changed server, look for a newer rdbkit.`;
  return code.startsWith('BAD_')
    ? `${RETAKE} Do not restore it: a damaged value can crash a server. ` +
        'If you know that it is whole, please report this as a bug of rdbkit.'
    : RETAKE;
}
