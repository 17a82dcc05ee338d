import { command } from './command.js';
import type { PayloadRun } from './payload-run.js';

const FORMS = `
How the payload may be given:
  quoted  "\\x00\\xc0*\\x0b\\x00…", as redis-cli shows it; quotes may be missing
  hex, base64
  raw     the bytes themselves, on standard input; the newline that redis-cli
          appends is left out
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

const COMMON = {
  usage: '[payload] [options]',
  argument: ['[payload]', 'in any form but raw; standard input unless given, or for -'],
} as const;

export const PAYLOAD_CHECK = command<'payload check'>({
  ...COMMON,
  name: 'payload check',
  summary: 'say what a payload is and whether it is whole',
  description: `Says what a DUMP payload is: type, encoding, version, checksum, and which servers restore it. All of its value is read.

Of more than one line, the damaged ones are named, and all are counted.`,
  after: `${FORMS}

Examples:
  rdbkit payload check '"\\x00\\xc0*\\x0b\\x00…"'
  redis-cli --raw dump user:1 | rdbkit payload check
  rdbkit dump dump.rdb --format payload | rdbkit payload check${EXITS}`,
  run: ({ io, options, words }) => run('check', words.at(0), { ...options, noChecksum: false }, io),
});

export const PAYLOAD_DECODE = command<'payload decode'>({
  ...COMMON,
  name: 'payload decode',
  summary: 'decode the value to a JSON line',
  description: 'Decodes the value in a DUMP payload to a JSON line, as rdbkit decode does. Only lines of JSON say which key it is.',
  after: `${FORMS}

Examples:
  redis-cli --raw dump user:1 | rdbkit payload decode
  rdbkit payload decode AMESBAoAxVzzmbOt/T8=
  zcat payloads.jsonl.gz | rdbkit payload decode > all.jsonl${EXITS}`,
  run: ({ io, options, words }) => run('decode', words.at(0), { ...options, json: false }, io),
});

async function run(...given: ConstructorParameters<typeof PayloadRun>): Promise<number> {
  const loaded = await import('./payload-run.js');
  return new loaded.PayloadRun(...given).run();
}
