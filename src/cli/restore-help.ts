/** The long texts of `rdbkit restore --help`. Lines of `after` are printed as they are: at most 80 characters. */
export const RESTORE_HELP = {
  description: `Writes the keys of RDB files to a server, a server behind sentinels, or a cluster.

The target comes last: redis://[user[:password]@]host:port[/db], rediss:// for TLS, redis+sentinel://host:port[,host:port]/master. Whether it is a cluster is asked from it. With /db all keys go into that database.`,
  after: `
Examples:
  rdbkit restore dump.rdb redis://target:6379 --dry-run
  rdbkit restore dump.rdb redis://target:6379
  rdbkit restore shard-*.rdb rediss://cluster:6379 --flush --yes
  rdbkit restore dump.rdb redis://target:6379 --prefix user: --on-conflict replace
  rdbkit restore dump.rdb redis://target:6379 --checkpoint restore.json \\
    --rejects rejects.jsonl

Exit codes:
  0    done: every key that passed the filters is on the target
  1    done, but for some keys: each of them was named; or newer commands of an AOF
       were not read, or kept it from beginning
  2    wrong usage, also a checkpoint that does not fit
  3    a source is damaged, incomplete, no RDB file, or not supported
  4    the target refused or was lost, or it is not empty
  70   a bug in rdbkit
  130  interrupted by Ctrl-C (143: by SIGTERM)`,
} as const;
