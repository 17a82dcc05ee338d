import { PAYLOAD_FORMS } from '../../commands/payload-terms.js';
import { flag, SOURCES, value } from './option.js';
import { oneOf } from './words.js';

const RDB_COMMANDS = ['decode', 'dump', 'restore', 'check', 'inspect', 'diff'] as const;

/** What to do about damage in RDB files. */
export const DAMAGE = {
  noChecksum: flag({ commands: RDB_COMMANDS, help: 'do not verify the checksum of the file' }),
  strict: flag({ commands: RDB_COMMANDS, help: 'refuse what is only warned of: unknown versions, data after the end' }),
  skipDamaged: flag({
    commands: ['decode', 'dump', 'restore'],
    help: 'go past values that are damaged, where it is known where they end; each is named and counted, and the exit code is 3',
  }),
  keepGoing: flag({ commands: ['decode', 'dump', 'restore', 'check', 'inspect'], help: 'go on with the next source after a damaged one' }),
  ignoreAofTail: flag({
    commands: RDB_COMMANDS,
    help: 'of an AOF, read only the RDB at its beginning: the newer commands after it are left out',
  }),
} as const;

/** The same for JSON lines. */
export const LINES = {
  lenient: flag({ commands: ['encode'], help: 'leave out fields that are not known, instead of refusing their lines' }),
  keepGoing: flag({ commands: ['encode'], help: 'go on with the next line after a wrong one' }),
} as const;

const PROGRESS = ['auto', 'plain', 'none'] as const;
export type ProgressKind = (typeof PROGRESS)[number];

export const PAYLOAD = {
  from: value({
    ...{ commands: ['payload check', 'payload decode'], value: 'form', choices: PAYLOAD_FORMS, parse: oneOf(PAYLOAD_FORMS) },
    help: `the form that it is in: ${PAYLOAD_FORMS.join(', ')} (default: found out)`,
  }),
  noChecksum: flag({ commands: ['payload decode'], help: 'do not verify the checksum of the payload' }),
  json: flag({ commands: ['payload check'], help: 'one JSON object for each payload' }),
  verbose: flag({ commands: ['payload check'], short: 'v', help: 'of several payloads, name all, not only the damaged ones' }),
} as const;

/** Options about standard error. */
export const MESSAGES = {
  progress: value({
    ...{ commands: SOURCES, value: 'how', choices: PROGRESS, parse: oneOf(PROGRESS), default: 'auto' },
    help: 'auto: a bar on a terminal, plain: a line every few seconds, none',
    helpIn: { sync: 'auto: one line on a terminal, redrawn every second, elsewhere a line every 10 seconds; plain: always these; none' },
  }),
  quiet: flag({ commands: SOURCES, short: 'q', against: ['verbose'], help: 'nothing but errors' }),
  verbose: flag({
    ...{ commands: [...SOURCES, 'payload decode'], short: 'v', against: ['quiet'] },
    help: 'also what each source is, and which environment variables set options',
    helpIn: {
      restore:
        'also retries, lost connections, changes of the cluster, counts for every database and server, ' +
        'and which environment variables set options',
      sync:
        'also retries, lost connections, changes of the clusters, where each master of the source stands, ' +
        'and which environment variables set options',
      'payload decode': 'also what each payload is',
    },
  }),
  json: flag({
    ...{ commands: SOURCES, help: 'the closing summary, with errors and warnings, as one JSON object' },
    helpIn: { sync: 'a JSON object on a line each second, {"status": …}, and the closing summary as the last one' },
  }),
} as const;
