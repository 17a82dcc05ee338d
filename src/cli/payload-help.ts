/** The long texts of `rdbkit payload --help`. Lines of `after` are printed as they are: at most 80 characters. */
const FORMS = `
How the payload may be given:
  quoted  "\\x00\\xc0*\\x0b\\x00…", as redis-cli shows it; quotes may be missing
  hex, base64
  raw     the bytes themselves, on standard input; the newline that redis-cli
          writes behind them is left out
  Which of them it is, is found out. Lines that rdbkit dump --format payload
  wrote are taken, too, any number of them.`;

const EXITS = `

Exit codes:
  0    done; also when the reader of the output has gone (| head)
  2    wrong usage
  3    a payload is damaged, or what was given is none
  4    the output could not be written
  70   a bug in rdbkit
  130  interrupted by Ctrl-C (143: by SIGTERM)`;

export const PAYLOAD_HELP = {
  description: 'Looks at what the command DUMP returns for a key: the payload that RESTORE takes.',
  check: {
    description: `Says what a DUMP payload is: type, encoding, version, checksum, and which servers restore it. All of its value is read.

Of more than one line, the damaged ones are named, and all are counted.`,
    after: `${FORMS}

Examples:
  rdbkit payload check '"\\x00\\xc0*\\x0b\\x00…"'
  redis-cli --raw dump user:1 | rdbkit payload check
  rdbkit dump dump.rdb --format payload | rdbkit payload check${EXITS}`,
  },
  decode: {
    description: 'Decodes the value in a DUMP payload to a JSON line, as rdbkit decode does. Only lines of JSON say which key it is.',
    after: `${FORMS}

Examples:
  redis-cli --raw dump user:1 | rdbkit payload decode
  rdbkit payload decode AMESBAoAxVzzmbOt/T8=
  zcat payloads.jsonl.gz | rdbkit payload decode > all.jsonl${EXITS}`,
  },
} as const;
