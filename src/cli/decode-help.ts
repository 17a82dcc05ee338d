import { exitCodes, FILTERS_HELP } from './help-texts.js';

/** The long texts of `rdbkit decode --help`. Lines of `after` are printed as they are: at most 80 characters. */
export const DECODE_HELP = {
  description: `Decodes RDB files to JSON lines: one JSON object for each key, on standard output.

Sources are read one after another; those compressed with gzip, LZ4 or zstd
(with Node 22.15 or later) are recognised and decompressed.`,
  after: `
${FILTERS_HELP}
Examples:
  rdbkit decode dump.rdb
  rdbkit decode dump.rdb -o dump.jsonl
  rdbkit decode shard-1.rdb shard-2.rdb shard-3.rdb --keep-going -o all.jsonl
  rdbkit decode dump.rdb --db 0 --prefix user: --not-match '*:tmp' --type hash
  rdbkit decode dump.rdb --min-size 1mb --limit 10 | jq -r .key
  ssh host cat /var/lib/redis/dump.rdb | rdbkit decode - --ttl expired
${exitCodes('newer commands of an AOF were not read')}`,
} as const;
