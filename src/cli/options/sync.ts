import {
  CONFIRMS,
  EVENTS,
  EXPIRIES,
  ON_GAP,
  RECORD_PREFIX,
  SERVICE_NAMES,
  STOPPING,
  SYNC_PHASES,
  UNTIL,
} from '../../commands/sync-terms.js';
import { flag, list, value } from './option.js';
import { commandNames, listenAddress, number, oneOf, ones, path, positionPrefix, size, sourceDbPairs, syncName, time } from './words.js';

const commands = ['sync'] as const;

/** How a sync goes, ends, and goes on. */
export const SYNCED = {
  phase: value({
    ...{ commands, value: 'which', choices: SYNC_PHASES, parse: oneOf(SYNC_PHASES), default: 'both' },
    help: 'both: a full copy, then all writes since; full: the copy alone; changes: only go on from where an earlier run ended',
  }),
  seed: list({
    ...{ commands, value: 'file', parse: (label: string, words: readonly string[]) => words.map((given) => path(label, given)) },
    noVariable: 'each backup has its own',
    help: 'take the full copy from this RDB file of the source, or from all files of a manifest of dump: the source makes none',
  }),
  until: value({
    ...{ commands, value: 'when', choices: UNTIL, parse: oneOf(UNTIL) },
    help: 'caught-up: end with exit code 0 when the target has kept up with the source, see --max-lag and --settle (default: when stopped)',
  }),
  maxLag: value({ commands, value: 'time', parse: time, default: '1s', help: 'with --until caught-up: the target is this late at most' }),
  settle: value({
    ...{ commands, value: 'time', parse: time, default: '2s' },
    help: 'with --until caught-up: and has been for this long; with --via scan: keys that were written are fetched once in this time (1s)',
  }),
  events: value({
    ...{ commands, value: 'how', choices: EVENTS, parse: oneOf(EVENTS), default: 'tracking' },
    help: 'with --via scan: how the source tells which keys are written: by CLIENT TRACKING (Redis 6.0), or by keyspace notifications',
  }),
  pauseSource: value({
    ...{ commands, value: 'time', parse: time, noVariable: 'it stops the writers of the source' },
    help:
      'with --until caught-up: then pause the writers of the source for this long at most, until the target has every write, expiries are ' +
      'released, and both are compared; if there is not enough time, the source goes on and so does the sync',
  }),
  id: value({
    ...{ commands, value: 'name', parse: syncName },
    help:
      'name of this sync, by which a later run goes on (default: made from the names of source and target); ' +
      'with several sources, each adds its own: name.host-port',
  }),
  fresh: flag({
    ...{ commands, noVariable: 'it begins again' },
    help: 'begin with a full copy, whatever an earlier run has done',
  }),
  forget: flag({
    ...{ commands, against: ['fresh'], noVariable: 'it deletes keys' },
    help: 'end this sync for good: give keys their expiries, and remove its positions from the target and its spool',
  }),
  check: flag({
    ...{ commands, against: ['dryRun', 'forget'], noVariable: 'it copies nothing' },
    help: 'hold what can be known of both sides against the rules of docs/preflight.md, and end: nothing is written',
  }),
  for: value({
    ...{ commands, value: 'service', choices: SERVICE_NAMES, parse: oneOf(SERVICE_NAMES), noVariable: 'it belongs to --check' },
    help: 'with --check: whether this service for migration would take the source, by its published limits',
  }),
  ignoreCheck: list({
    ...{ commands, value: 'name', choices: STOPPING, parse: ones(STOPPING), noVariable: 'it is for one copy' },
    help: 'make the full copy although this check of the plan stops it',
  }),
  dbMap: list({
    ...{ commands, value: 'from:to', parse: sourceDbPairs },
    help:
      'write the keys of one database into another: 3:0, or a list of such pairs; with several sources, host:port/3:0 is for one of them',
  }),
  onGap: value({
    ...{ commands, value: 'how', choices: ON_GAP, parse: oneOf(ON_GAP) },
    help:
      'if the source no longer has the writes since an earlier run, stop: end with an error; full: make a full copy again ' +
      '(default: ask on a terminal, else stop)',
  }),
  spool: value({
    ...{ commands, value: 'folder', parse: path },
    help:
      'where writes of the source wait until they are applied; none: in memory only ' +
      '(default: rdbkit in $XDG_STATE_HOME or ~/.local/state)',
  }),
  keepRdb: flag({
    ...{ commands, against: ['seed'] },
    help: 'keep the RDB that the source sends with the spool until the full copy is done: a run that is killed goes on from it',
  }),
  spoolMax: value({ commands, value: 'bytes', parse: size, default: '20gb', help: 'size of the spool at most; the source then waits' }),
  expiry: value({
    ...{ commands, value: 'how', choices: EXPIRIES, parse: oneOf(EXPIRIES), default: 'held' },
    help: 'held: only the source expires keys until the sync ends; exact: the target does too, and may lose keys that are renewed late',
  }),
  confirm: value({
    ...{ commands, value: 'how', choices: CONFIRMS, parse: oneOf(CONFIRMS), default: 'wait' },
    help: 'wait: what replicas of the target have confirmed is certain; answered: what its masters have answered is',
  }),
  publish: flag({ commands, help: 'also pass on PUBLISH; a message may come twice after a run that was killed' }),
  onlyCommand: list({
    ...{ commands, value: 'name', parse: commandNames },
    help: 'after the full copy, apply only these commands: set, or a list set,del; what others write is then missing',
  }),
  notCommand: list({
    ...{ commands, value: 'name', parse: commandNames },
    help: 'after the full copy, do not apply these commands; what they write is then missing',
  }),
  maxOpsPerSecond: value({
    ...{ commands, value: 'n', parse: number(1) },
    help: 'after the full copy, apply at most this many commands per second from each master',
  }),
  status: value({
    ...{ commands, value: 'host:port', parse: listenAddress },
    help: 'answer there over HTTP, without a login: a page for people, /status, /metrics for Prometheus, /healthz; :9121 is 127.0.0.1:9121',
  }),
  positionPrefix: value({
    ...{ commands, value: 'text', parse: positionPrefix, default: RECORD_PREFIX },
    help: 'the names of the keys on the target in which the sync keeps its positions begin with this',
  }),
} as const;
