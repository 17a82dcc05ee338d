/** The long texts of `rdbkit dump --help`. Lines of `after` are printed as they are: at most 80 characters. */
export const DUMP_HELP = {
  description: `Writes the keys of RDB files as they are stored, without decoding them.

Sources are read one after another; those compressed with gzip, LZ4 or zstd are recognised and decompressed.`,
  after: `
Formats:
  rdb      an RDB file, which a server loads
  resp     commands (RESTORE, SELECT, FUNCTION LOAD), for redis-cli --pipe
  payload  JSON lines, each with what the command DUMP gives for the key, base64

How filters combine:
  Each option takes one value and may be given again: --prefix a: --prefix b:
  (--db, --type and --slot also take lists: --type hash,zset). Values of one
  option are alternatives, different options must all hold. Keys and patterns
  that are not UTF-8 are given in the text form: base64: and the bytes.

Examples:
  rdbkit dump dump.rdb --format rdb --prefix user: -o users.rdb
  rdbkit dump shard-*.rdb --format rdb --on-conflict first -o all.rdb
  rdbkit dump dump.rdb --format resp | redis-cli -h target --pipe
  rdbkit dump all.rdb --format rdb --split-slots 3 -o shard.rdb
  rdbkit dump dump.rdb --format payload --prefix user:
  rdbkit dump shard-1.rdb shard-2.rdb --format payload -o all.jsonl

Exit codes:
  0    done; also when the reader of the output has gone (| head)
  1    done, but for some keys: each of them was named
  2    wrong usage, also a source that does not exist or may not be read
  3    a source is damaged, incomplete, no RDB file, or not supported
  4    the output could not be written
  70   a bug in rdbkit
  130  interrupted by Ctrl-C (143: by SIGTERM)`,
} as const;
