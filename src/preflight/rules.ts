import { formatText } from '../bytes/text.js';
import { knownTarget, versionText } from '../values/server-version.js';
import { hasFunctions, type Target } from '../values/targets.js';
import { parseInfo } from '../redis/server-info.js';
import { type Answer, fieldOf, type Info, Refused } from './answer.js';
import { BYTES_PER_SECOND, dataOf, estimateOf, KEYS_PER_SECOND, keysOf, total } from './estimate.js';
import { type Facts, type Lack, type Login, type SourceServer, wayOf } from './facts.js';
import { ok, type Rule, stops, unknown, type Verdict, warning, type Words } from './rule.js';

const REDIS = 'https://redis.io/docs/latest';
const REPLICATION = `${REDIS}/operate/oss_and_stack/management/replication/`;

/** Seconds: a lost connection that is shorter should not cost a full copy. */
const PATIENCE = 60;
/** Seconds that the size in an advice is enough for. */
const AMPLE = 120;
const MIB = 1 << 20;
/** The backlog of a server with its defaults. */
const DEFAULT_BACKLOG = MIB;
/** Processor time of a second from which on a fork and a transfer are felt. */
const BUSY = 0.7;
/** Bytes a second: what asking for them makes of itself. */
const QUIET = 100;
/** Part of the memory left that may be needed before it counts as short. */
const ROOMY = 0.8;

/** A verdict on each master of the source. */
const each = ({ source }: Facts, judge: (server: SourceServer) => Verdict): Verdict[] =>
  source.servers.map((server) => ({ ...judge(server), server: server.name }));

const notChecked = ({ text }: Refused, advice?: string): Verdict => unknown(`could not be checked (${text})`, advice);

/** What a server says that it is; undefined if it does not. */
export function versionOf(info: Answer<Info>): { readonly text: string; readonly target: Target; readonly redis: string } | undefined {
  if (info instanceof Refused) return undefined;
  const told = parseInfo([...info].map(([name, text]) => `${name}:${text}`).join('\n'));
  if (told.version === '') return undefined;
  return { text: versionText(told), target: knownTarget(told).target, redis: told.redisVersion };
}

/** `1.2 MB/s of writes, measured over 2.0 s`. */
function writesText({ rates }: SourceServer, { bytes, seconds }: Words): string {
  if (rates instanceof Refused || rates.writes === undefined) return 'an unknown rate of writes';
  if (rates.writes < QUIET) return `hardly any writes in ${seconds(rates.seconds)}`;
  return `${rates.atMost ? 'at most ' : ''}${bytes(rates.writes)}/s of writes, measured over ${seconds(rates.seconds)}`;
}

const writesOf = ({ rates }: SourceServer): number | undefined => (rates instanceof Refused ? undefined : rates.writes);

const version: Rule = {
  ...{ name: 'version', title: 'versions', side: 'both', inPlan: true },
  source: `${REDIS}/commands/restore/`,
  judge: (facts) =>
    each(facts, ({ info }) => {
      const from = versionOf(info);
      const { target, version: into } = facts.target.facts;
      if (from === undefined) return unknown(`the source does not tell its version; the target is ${into}`);
      if (from.target.vendor === target.vendor && from.target.rdbVersion <= target.rdbVersion) return ok(`${from.text} into ${into}`);
      return warning(
        `${from.text} into ${into}, which does not read all that the source writes`,
        'Values are written in encodings that it reads; what it does not have (types, commands) is rejected key by key, with its name',
      );
    }),
};

const cluster: Rule = {
  ...{ name: 'cluster', title: 'cluster mode', side: 'both', inPlan: true },
  source: `${REDIS}/operate/oss_and_stack/reference/cluster-spec/`,
  judge: ({ source, target }) => {
    const kind = (is: boolean): string => (is ? 'a cluster' : 'one server');
    const found = `${kind(source.clustered)} into ${kind(target.clustered)}`;
    if (source.clustered || !target.clustered) return ok(found);
    return warning(found, 'Clients need to speak the cluster protocol, and their commands, transactions and scripts to stay within a slot');
  },
};

const slots: Rule = {
  ...{ name: 'slots', title: 'slots of the target', side: 'target', inPlan: true },
  source: `${REDIS}/operate/oss_and_stack/reference/cluster-spec/`,
  judge: ({ target }, { count }) => {
    if (!target.clustered) return ok('no cluster');
    const missing = target.facts.uncovered.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    if (missing === 0) return ok('all 16,384 have a master');
    const found = `${count(missing)} of 16,384 have no master, so that their keys would be rejected`;
    return stops(found, 'Give them to masters: redis-cli --cluster fix');
  },
};

const databases: Rule = {
  ...{ name: 'databases', title: 'databases in use', side: 'both', inPlan: true },
  source: `${REDIS}/commands/select/`,
  judge: ({ source, target: { facts }, terms }, { count }) => {
    const used = new Map<number, number>();
    for (const server of source.servers) {
      const keys = keysOf(server);
      if (keys === undefined) return unknown('the source does not tell which databases it uses (INFO is refused)');
      for (const [db, number] of keys) if (terms.target(db) !== undefined) used.set(db, (used.get(db) ?? 0) + number);
    }
    const has = `the target has ${facts.databases === 1 ? 'database 0 only' : `databases 0 to ${facts.databases - 1}`}`;
    const lost = [...used].filter(([db]) => (terms.target(db) ?? 0) >= facts.databases);
    if (lost.length > 0) {
      const keys = lost.map(([db, number]) => `${count(number)} ${number === 1 ? 'key' : 'keys'} of database ${db}`).join(', ');
      const advice = `--db-map ${lost[0][0]}:0 writes them to another database; --db leaves databases out`;
      return stops(`${has}: ${keys} would be rejected`, advice);
    }
    const into = new Map<number, number[]>();
    for (const db of used.keys()) into.set(terms.target(db) ?? 0, [...(into.get(terms.target(db) ?? 0) ?? []), db]);
    const joined = [...into].find(([, from]) => from.length > 1);
    if (joined !== undefined) {
      const found = `databases ${joined[1].join(', ')} of the source go to database ${joined[0]}`;
      return warning(found, 'A key with the same name in several of them becomes one; --on-conflict says which');
    }
    return ok(used.size === 0 ? `none in use; ${has}` : `${[...used.keys()].join(', ')} in use; ${has}`);
  },
};

const isLocal = (host: string): boolean => host === '' || host === 'localhost' || host === '::1' || /^127\./.test(host);

function loginVerdict({ hosts, password, tls, user }: Login, side: string): Verdict {
  const who = user ?? 'the default user';
  const how = `as ${who}, ${password ? 'with' : 'without'} a password, ${tls ? 'by TLS' : 'without TLS'}`;
  const far = hosts.find((host) => !isLocal(host));
  if (tls || far === undefined) return ok(how);
  const what = password ? 'the password and all keys go' : 'all keys go';
  const found = `${how}: ${what} over the network unencrypted`;
  return password ? warning(found, `Write the URL of the ${side} as rediss:// if it has TLS`) : ok(found);
}

const sourceLogin: Rule = {
  ...{ name: 'source-login', title: 'AUTH and TLS', side: 'source' },
  source: `${REDIS}/operate/oss_and_stack/management/security/`,
  judge: ({ source }) => loginVerdict(source.login, 'source'),
};

const targetLogin: Rule = {
  ...{ name: 'target-login', title: 'AUTH and TLS', side: 'target' },
  source: `${REDIS}/operate/oss_and_stack/management/security/`,
  judge: ({ target }) => loginVerdict(target.login, 'target'),
};

const GIVE_PSYNC = 'ACL SETUSER NAME +psync +replconf gives the right, where the server has PSYNC';
const NO_PSYNC = `${GIVE_PSYNC}; where it has not, --via scan lets it tell the names of keys that are written`;
const BY_SCAN = 'the source is read by scan, and tells the names of keys that are written';
const LESS =
  'That is not exactly once and keeps no order, and a run that was killed begins with another scan: docs/sync.md, ' +
  `"What this way cannot promise". ${GIVE_PSYNC}`;

const psync: Rule = {
  ...{ name: 'psync', title: 'replication allowed', side: 'source', inPlan: true },
  source: `${REDIS}/commands/psync/`,
  judge: (facts) =>
    each(facts, ({ psync: refused }) => {
      if (facts.terms.via === 'scan') return ok(`not needed with --via scan: ${BY_SCAN}`);
      if (refused === undefined) return ok('PSYNC is not refused');
      const found = `PSYNC is refused (${refused})`;
      return facts.terms.via === 'replication' ? stops(found, NO_PSYNC) : warning(`${found}: ${BY_SCAN}`, LESS);
    }),
};

function rightsVerdict(lack: Lack | undefined, notes: readonly string[]): Verdict {
  if (lack !== undefined) return stops(`it refuses what a sync needs (${lack.reason})`, lack.advice?.replace(/\.$/, ''));
  return notes.length === 0 ? ok('all commands that are needed are taken') : warning(notes.join('; '));
}

const sourceRights: Rule = {
  ...{ name: 'source-rights', title: 'rights on the source', side: 'source', inPlan: true },
  source: `${REDIS}/operate/oss_and_stack/management/security/acl/`,
  judge: ({ rights }) => rightsVerdict(rights?.source, []),
};

const targetRights: Rule = {
  ...{ name: 'target-rights', title: 'rights on the target', side: 'target', inPlan: true },
  source: `${REDIS}/operate/oss_and_stack/management/security/acl/`,
  judge: ({ rights }) => rightsVerdict(rights?.target, rights?.notes ?? []),
};

const backlog: Rule = {
  ...{ name: 'backlog', title: 'repl-backlog-size', side: 'source', way: 'replication' },
  source: REPLICATION,
  judge: (facts, words) =>
    each(facts, (server) => {
      const size = fieldOf(server.info, 'repl_backlog_size');
      if (size === undefined) return unknown('the source does not tell its repl-backlog-size (INFO is refused)');
      const writes = writesOf(server);
      const lasts = writes === undefined || writes < QUIET ? Infinity : size / writes;
      const found = `${words.bytes(size)}, with ${writesText(server, words)}`;
      const wanted = Math.ceil(Math.max(DEFAULT_BACKLOG, (writes ?? 0) * AMPLE) / MIB) * MIB;
      const why = 'a connection that is lost for longer than the backlog lasts costs another full copy';
      const advice = `CONFIG SET repl-backlog-size ${wanted}: ${why}`;
      if (lasts < PATIENCE) return warning(`${found}: it lasts ${words.seconds(lasts)}`, advice);
      if (size < DEFAULT_BACKLOG) return warning(`${found}: less than the default of a server`, advice);
      return writes === undefined ? unknown(found) : ok(lasts === Infinity ? found : `${found}: it lasts ${words.seconds(lasts)}`);
    }),
};

/** From `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`. */
function limitsOf(text: string): { readonly hard: number; readonly soft: number; readonly patience: number } | undefined {
  const numbers = /\b(?:slave|replica) (\d+) (\d+) (\d+)/.exec(text);
  return numbers === null ? undefined : { hard: Number(numbers[1]), soft: Number(numbers[2]), patience: Number(numbers[3]) };
}

/** Releases from which on a replica that wants the RDB alone is kept no writes for. */
const RDB_ONLY = [6, 2];

const outputBuffer: Rule = {
  ...{ name: 'output-buffer', title: 'client-output-buffer-limit', side: 'source', way: 'replication' },
  source: `${REDIS}/develop/reference/clients/`,
  judge: (facts, words) =>
    each(facts, (server) => {
      if (server.outputLimit instanceof Refused) return notChecked(server.outputLimit);
      const limits = limitsOf(server.outputLimit);
      if (limits === undefined) return unknown(`not understood: ${server.outputLimit}`);
      // a limit below the size of the backlog counts as that (redis networking.c, closeClientOnOutputBufferLimitReached, since 7.0)
      const least = fieldOf(server.info, 'repl_backlog_size') ?? 0;
      const [hard, soft] = [limits.hard, limits.soft].map((limit) => (limit === 0 ? Infinity : Math.max(limit, least)));
      if (hard === Infinity && soft === Infinity) return ok('no limit');
      const writes = writesOf(server);
      const limit = [
        ...(hard === Infinity ? [] : [`${words.bytes(hard)} at once`]),
        ...(soft === Infinity ? [] : [`${words.bytes(soft)} for ${limits.patience} s`]),
      ].join(', ');
      const found = `replicas are cut off at ${limit}, with ${writesText(server, words)}`;
      if (writes === undefined) return unknown(found);
      const lasts = writes < QUIET ? Infinity : Math.min(hard / writes, soft / writes + limits.patience);
      const wanted = Math.ceil(Math.max(hard === Infinity ? 0 : hard, writes * AMPLE, 256 * MIB) / MIB) * MIB;
      const advice = `CONFIG SET client-output-buffer-limit "replica ${wanted} 0 0" for the time of the copy`;
      const [major = 0, minor = 0] = (versionOf(server.info)?.redis ?? '').split('.').map(Number);
      const piles = major < RDB_ONLY[0] || (major === RDB_ONLY[0] && minor < RDB_ONLY[1]);
      const copy = estimateOf(facts)?.seconds ?? 0;
      const when = words.seconds(lasts);
      if (piles && copy > lasts) return stops(`${found}: reached after ${when} of a copy of about ${words.seconds(copy)}`, advice);
      if (lasts < PATIENCE) return warning(`${found}: reached ${when} after rdbkit or the network stands still`, advice);
      return ok(found);
    }),
};

const cpu: Rule = {
  ...{ name: 'cpu', title: 'processor of the source', side: 'source' },
  source: `${REDIS}/commands/info/`,
  judge: (facts, { seconds }) =>
    each(facts, ({ rates }) => {
      if (rates instanceof Refused) return notChecked(rates);
      if (rates.cpu === undefined) return unknown('could not be checked (INFO has no used_cpu_user)');
      const found = `${Math.round(rates.cpu * 100)} % of a core, measured over ${seconds(rates.seconds)}`;
      if (rates.cpu < BUSY) return ok(found);
      if (wayOf(facts) === 'scan') return warning(found, 'To read all keys slows it down further: copy at a quieter time');
      const slower = 'To fork and to send the copy slows it down further';
      return warning(found, `${slower}: copy at a quieter time, or read a replica with --prefer-replica`);
    }),
};

const writable: Rule = {
  ...{ name: 'writable', title: 'the target takes writes', side: 'target', inPlan: true },
  source: `${REDIS}/operate/oss_and_stack/management/security/acl/`,
  judge: ({ target: { refuses } }) =>
    refuses === undefined ? ok('it would take one') : stops(`it refuses every write (${refuses})`, 'Put right what the reply names'),
};

const empty: Rule = {
  ...{ name: 'empty', title: 'the target is empty', side: 'target', inPlan: true },
  source: 'docs/restore.md',
  judge: ({ target: { facts }, terms }, { count }) => {
    if (terms.resumes) return ok('an earlier run of this sync has copied: the next one goes on');
    if (!facts.masters.every(({ counted }) => counted)) return unknown('the target does not tell whether it has keys');
    const keys = facts.masters.reduce((sum, master) => sum + [...master.keys.values()].reduce((all, number) => all + number, 0), 0);
    if (keys === 0) return ok('no keys');
    const found = `it has ${count(keys)} ${keys === 1 ? 'key' : 'keys'}`;
    if (terms.flush) return warning(found, '--flush deletes them first');
    if (terms.conflict !== 'error') return ok(`${found}, and --on-conflict ${terms.conflict} is given`);
    return stops(found, '--on-conflict skip keeps them, replace replaces them, --flush deletes them first');
  },
};

const memory: Rule = {
  ...{ name: 'memory', title: 'memory of the target', side: 'target', inPlan: true },
  source: `${REDIS}/operate/oss_and_stack/management/optimization/memory-optimization/`,
  judge: ({ source, target: { facts }, terms }, { bytes }) => {
    if (!facts.informs) return unknown('the target does not tell its memory (INFO is refused)');
    const needed = total(source.servers, dataOf);
    if (needed === undefined) return unknown('the source does not tell its memory (INFO is refused)');
    const limited = facts.masters.every(({ maxMemory }) => maxMemory > 0);
    const all = needed + terms.others;
    const takes = `the ${terms.filtered ? 'keys take at most' : 'keys take'} ${bytes(all)} on the source`;
    if (!limited) return ok(`${takes}; no maxmemory`);
    const replaced = terms.flush || terms.again;
    const left = facts.masters.reduce((sum, { maxMemory, usedMemory }) => sum + Math.max(0, maxMemory - (replaced ? 0 : usedMemory)), 0);
    const found = `${takes}, ${bytes(left)} are left`;
    if (terms.resumes) return ok(`${bytes(left)} are left, and an earlier run has copied`);
    const advice = 'Give the target more memory (maxmemory, or a larger node), or copy fewer keys';
    const mayReplace = !replaced && terms.conflict !== 'error' && facts.masters.some(({ keys }) => keys.size > 0);
    if (all > left) return (terms.filtered || mayReplace ? warning : stops)(found, advice);
    return all > left * ROOMY ? warning(`${found}, which is little more`, advice) : ok(found);
  },
};

const eviction: Rule = {
  ...{ name: 'eviction', title: 'maxmemory-policy', side: 'target' },
  source: `${REDIS}/develop/reference/eviction/`,
  judge: ({ target: { facts } }) =>
    facts.masters.map(({ maxMemory, maxMemoryPolicy: policy, name }): Verdict => {
      const server = name;
      if (policy === '') return { ...unknown('the target does not tell its maxmemory-policy (INFO is refused)'), server };
      if (policy === 'noeviction') return { ...ok(policy), server };
      if (maxMemory === 0) return { ...ok(`${policy}, without a maxmemory`), server };
      const then = 'then the target is not what the source is, and later writes to such a key make another value';
      const found = `${policy}: it may evict keys, and ${then}`;
      return { ...warning(found, 'Set noeviction for the time of the sync: CONFIG SET maxmemory-policy noeviction'), server };
    }),
};

const modules: Rule = {
  ...{ name: 'modules', title: 'modules', side: 'both', inPlan: true },
  source: `${REDIS}/commands/module-list/`,
  judge: (facts) =>
    each(facts, ({ modules: has, sample }) => {
      if (has instanceof Refused) return notChecked(has);
      if (has.length === 0) return ok('the source has none');
      const [{ modules: there }] = facts.target.servers;
      if (there instanceof Refused) return notChecked(there, `The source has ${has.join(', ')}`);
      const lacking = has.filter((name) => !there.includes(name));
      if (lacking.length === 0) return ok(`${has.join(', ')}: the target has them, too`);
      const found = `the target lacks ${lacking.join(', ')}`;
      const advice = 'Load them there (MODULE LOAD), or copy without their keys: they are rejected, each by name';
      if (sample instanceof Refused) return warning(`${found}; whether keys are theirs could not be checked (${sample.text})`, advice);
      const looked = `in a sample of ${sample.keys} keys`;
      if (sample.types.length > 0) return stops(`${found}, and there are keys of type ${sample.types.join(', ')} ${looked}`, advice);
      return warning(`${found}; ${looked} none is theirs`, advice);
    }),
};

const functions: Rule = {
  ...{ name: 'functions', title: 'function libraries', side: 'both', inPlan: true },
  source: `${REDIS}/develop/programmability/functions-intro/`,
  judge: (facts, { count }) =>
    each(facts, ({ functions: number }) => {
      if (number instanceof Refused) return notChecked(number);
      const found = `the source has ${number === 0 ? 'none' : count(number)}`;
      if (number === 0 || hasFunctions(facts.target.facts.target)) return ok(found);
      if (!facts.terms.functions) return ok(`${found}, and --no-functions leaves them out`);
      const advice = 'Copy into Redis 7.0 or later, or leave them out with --no-functions';
      return stops(`${found}, and ${facts.target.facts.version} does not have functions`, advice);
    }),
};

const bulk: Rule = {
  ...{ name: 'proto-limit', title: 'keys over proto-max-bulk-len', side: 'both' },
  source: 'https://github.com/redis/redis/blob/7.0/redis.conf',
  judge: (facts, { bytes, count }) => {
    const { target, terms } = facts;
    const known = target.bulkLimit instanceof Refused ? undefined : Number(target.bulkLimit);
    const limit = known === undefined ? `the limit is not known (${(target.bulkLimit as Refused).text})` : `the limit is ${bytes(known)}`;
    return each(facts, ({ sample }) => {
      const seen =
        sample instanceof Refused
          ? `the sizes of keys could not be checked (${sample.text})`
          : sample.largest === undefined
            ? 'no keys'
            : `in a sample of ${count(sample.keys)} of ${count(sample.of)} keys, the largest is ${formatText(sample.largest.key)}, ` +
              bytes(sample.largest.bytes);
      const advice = `--max-payload ${known ?? '64mb'} writes larger values with plain commands`;
      if (known === undefined) return unknown(`${limit}; ${seen}`, advice);
      if (known < terms.maxPayload) return warning(`${limit}, and payloads of up to ${bytes(terms.maxPayload)} are sent; ${seen}`, advice);
      return (sample instanceof Refused ? unknown : ok)(`${limit}; ${seen}`);
    });
  },
};

const duration: Rule = {
  ...{ name: 'time', title: 'time of the full copy', side: 'both' },
  source: 'docs/benchmarks.md',
  judge: (facts, words) => {
    const { bytes, count, seconds } = words;
    const { source, terms } = facts;
    if (terms.resumes) return ok('none: an earlier run has copied');
    const estimate = estimateOf(facts);
    if (estimate === undefined) return unknown('could not be estimated (INFO is refused)');
    const link = estimate.link === undefined ? '' : `, ${bytes(estimate.link)}/s by the slower link`;
    const found =
      `about ${seconds(estimate.seconds)} for ${bytes(estimate.bytes)} in ${count(estimate.keys)} keys: the slowest of ` +
      `${bytes(BYTES_PER_SECOND)}/s, ${count(KEYS_PER_SECOND)} keys/s (as measured in docs/benchmarks.md)${link}`;
    const writes = total(source.servers, writesOf);
    if (writes === undefined || wayOf(facts) === 'scan') return ok(found);
    const waiting = writes * estimate.seconds;
    if (waiting <= terms.spoolMax) return ok(found);
    const more = `about ${bytes(waiting)} are written meanwhile, and the spool takes ${bytes(terms.spoolMax)}`;
    return warning(`${found}; ${more}`, 'Give the spool more room: --spool-max, and a folder for it with --spool');
  },
};

/** What a sync looks at before it copies anything, in the order in which it is told. */
export const RULES: readonly Rule[] = [
  ...[version, cluster, slots, databases, sourceLogin, targetLogin, psync, sourceRights, targetRights, writable, empty],
  ...[backlog, outputBuffer, cpu, memory, eviction, modules, functions, bulk, duration],
];
