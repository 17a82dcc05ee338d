/** The long texts of `rdbkit decode --help`. Lines of `after` are printed as they are: at most 80 characters. */
export const DECODE_HELP = {
  description: `Decodes RDB files to JSON lines: one JSON object for each key, on standard output.

Sources are read one after another; those compressed with gzip, LZ4 or zstd are recognised and decompressed.`,
  after: `
How filters combine:
  Each option takes one value and may be given again: --prefix a: --prefix b:
  (--db, --type and --slot also take lists: --type hash,zset). Values of one
  option are alternatives, different options must all hold. Keys and patterns
  that are not UTF-8 are given as in the output: base64: and the bytes.

Examples:
  rdbkit decode dump.rdb
  rdbkit decode dump.rdb -o dump.jsonl
  rdbkit decode shard-1.rdb shard-2.rdb shard-3.rdb --keep-going -o all.jsonl
  rdbkit decode dump.rdb --db 0 --prefix user: --not-match '*:tmp' --type hash
  rdbkit decode dump.rdb --min-size 1mb --limit 10 | jq -r .key
  ssh host cat /var/lib/redis/dump.rdb | rdbkit decode - --ttl expired

Exit codes:
  0    done; also when the reader of the output has gone (| head)
  2    wrong usage, also a source that does not exist or may not be read
  3    a source is damaged, incomplete, no RDB file, or not supported
  4    the output could not be written
  70   a bug in rdbkit
  130  interrupted by Ctrl-C (143: by SIGTERM)`,
} as const;
