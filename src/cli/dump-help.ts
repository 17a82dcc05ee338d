import { exitCodes, FILTERS_HELP } from './help-texts.js';

/** The long texts of `rdbkit dump --help`. Lines of `after` are printed as they are: at most 80 characters. */
export const DUMP_HELP = {
  description: `Writes the keys of RDB files as they are stored, without decoding them.

Sources are read one after another; those compressed with gzip, LZ4 or zstd
(with Node 22.15 or later) are recognised and decompressed.`,
  after: `
Formats:
  rdb      an RDB file, which a server loads
  resp     commands (RESTORE, SELECT, FUNCTION LOAD), for redis-cli --pipe
  payload  JSON lines, each with what the command DUMP gives for the key, base64
${FILTERS_HELP}
Examples:
  rdbkit dump dump.rdb --format rdb --prefix user: -o users.rdb
  rdbkit dump shard-*.rdb --format rdb --on-conflict first -o all.rdb
  rdbkit dump dump.rdb --format resp | redis-cli -h target --pipe
  rdbkit dump all.rdb --format rdb --split-slots 3 -o shard.rdb
  rdbkit dump dump.rdb --format rdb --target-version 6.2 -o old.rdb
  rdbkit dump dump.rdb --format payload --prefix user:
  rdbkit dump shard-1.rdb shard-2.rdb --format payload -o all.jsonl
${exitCodes('for some keys: each of them was named; or newer commands of an AOF\n       were not read')}`,
} as const;
