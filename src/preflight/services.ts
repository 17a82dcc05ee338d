import { compareVersions } from '../values/server-version.js';
import { type Answer, fieldOf, Refused } from './answer.js';
import { dataOf, total } from './estimate.js';
import type { Facts, ServiceFacts } from './facts.js';
import { ok, type Rule, stops, unknown, type Verdict, warning } from './rule.js';
import { RULES, versionOf } from './rules.js';

/** A service that migrates, by what it publishes of itself. */
export interface Service {
  readonly title: string;
  readonly rules: readonly Rule[];
  /** What rdbkit does where the service would not take a source, by the name of the rule. */
  readonly instead: Readonly<Record<string, string>>;
}

const AWS = 'https://docs.aws.amazon.com/AmazonElastiCache/latest/dg';
const PREPARE = `${AWS}/Migration-Prepare.html`;
/** The page for Redis alone, which names the oldest release. */
const PREPARE_BEFORE = 'https://docs.aws.amazon.com/AmazonElastiCache/latest/red-ug/Migration-Prepare.html';
const OVERVIEW = `${AWS}/OnlineMigration.html`;

const asked = ({ source }: Facts, judge: (facts: ServiceFacts) => Verdict): Verdict =>
  source.service === undefined ? unknown('was not asked for') : judge(source.service);

function told<T>(answer: Answer<T>, judge: (value: T) => Verdict): Verdict {
  return answer instanceof Refused ? unknown(`could not be checked (${answer.text})`) : judge(answer);
}

const isElastiCache = (host: string): boolean => /\.cache\.amazonaws\.com(?:\.cn)?$/i.test(host);
const isServerless = (host: string): boolean => /\.serverless\./i.test(host);

const selfManaged: Rule = {
  ...{ name: 'self-managed', title: 'the source is self-managed, on EC2', side: 'source', source: OVERVIEW },
  judge: ({ source }) => {
    const managed = source.login.hosts.find(isElastiCache);
    if (managed !== undefined) return stops(`${managed} is of ElastiCache itself`);
    const advice = 'Its address has to be private, and reachable from the VPC of the target';
    return unknown('whether it runs on EC2 is not seen by a connection', advice);
  },
};

const sourceVersion: Rule = {
  ...{ name: 'source-version', title: 'version of the source', side: 'source', source: PREPARE_BEFORE },
  judge: ({ source, target }) => {
    const [{ info }] = source.servers;
    const from = versionOf(info);
    if (from === undefined) return unknown('could not be checked (INFO is refused)');
    if (compareVersions(from.redis, '2.8.21') < 0) return stops(`${from.text}: 2.8.21 or later is asked for`);
    const into = target.facts;
    if (from.target.vendor === into.target.vendor && from.target.rdbVersion <= into.target.rdbVersion) return ok(from.text);
    const found = `${from.text}, and the target is ${into.version}: a replica does not load the RDB of a newer server`;
    return warning(found, 'Choose a target of the same version or a later one');
  },
};

const targetVersion: Rule = {
  ...{ name: 'target-version', title: 'version of the target', side: 'target', source: PREPARE },
  judge: ({ target }) => {
    const into = versionOf(target.servers[0].info);
    if (into === undefined) return unknown('could not be checked (INFO is refused)');
    const least = target.clustered ? '5.0.6' : '5.0.5';
    if (compareVersions(into.redis, least) >= 0) return ok(into.text);
    return stops(`${into.text}: Valkey, or Redis ${least} or later${target.clustered ? ' for a cluster' : ''}, is asked for`);
  },
};

const clusterMode: Rule = {
  ...{ name: 'cluster-mode', title: 'cluster mode, and number of shards', side: 'both', source: PREPARE },
  judge: ({ source, target }) => {
    const kind = (is: boolean, masters: number): string => (is ? `a cluster of ${masters} shards` : 'cluster mode disabled');
    const found = `source: ${kind(source.clustered, source.servers.length)}, target: ${kind(target.clustered, target.servers.length)}`;
    if (source.clustered !== target.clustered) return stops(`${found}: both have to be the same`);
    if (source.servers.length !== target.servers.length) return stops(`${found}: the numbers have to be the same`);
    return ok(found);
  },
};

const serverless: Rule = {
  ...{ name: 'node-based', title: 'the target is no serverless cache', side: 'target', source: OVERVIEW },
  judge: ({ target }) => {
    const host = target.login.hosts.find(isServerless);
    if (host === undefined) return ok('by its name');
    return stops(`${host} is serverless`, `ElastiCache has another migration for that: ${AWS}/migration-to-serverless.html`);
  },
};

const inTransit: Rule = {
  ...{ name: 'in-transit', title: 'no encryption in transit on the target', side: 'target', source: PREPARE },
  judge: ({ target }) => (target.login.tls ? stops('the target is reached by TLS') : ok('the target is reached without TLS')),
};

const deployment: Rule = {
  ...{ name: 'deployment', title: 'Multi-AZ, no global datastore, no data tiering', side: 'target', source: PREPARE },
  judge: () => unknown('is not seen by a connection', 'aws elasticache describe-replication-groups tells all three'),
};

const auth: Rule = {
  ...{ name: 'auth', title: 'no AUTH on the source', side: 'source', source: PREPARE },
  judge: (facts) =>
    asked(facts, ({ needsPassword }) =>
      told(needsPassword, (needed) =>
        needed ? stops('the source asks for a password') : ok('the source takes connections without a login'),
      ),
    ),
};

const protectedMode: Rule = {
  ...{ name: 'protected-mode', title: 'protected-mode is no', side: 'source', source: PREPARE },
  judge: (facts) =>
    asked(facts, ({ protectedMode: mode }) =>
      told(mode, (value) => (value === 'no' ? ok('no') : warning(value, 'CONFIG SET protected-mode no, behind a firewall'))),
    ),
};

const bind: Rule = {
  ...{ name: 'bind', title: 'bind lets ElastiCache in', side: 'source', source: PREPARE },
  judge: (facts) =>
    asked(facts, ({ bind: addresses }) =>
      told(addresses, (value) => {
        const all = value.split(' ').map((address) => address.replace(/^-/, ''));
        const open = value === '' || all.some((address) => !/^(?:127\.|::1$|localhost$)/.test(address));
        if (open) return ok(value === '' ? 'all addresses' : value);
        const how = 'CONFIG SET bind; before 7.0 in redis.conf, with a restart';
        return warning(`${value} only`, `Bind an address that the VPC of the target reaches (${how})`);
      }),
    ),
};

const databases: Rule = {
  ...{ name: 'same-databases', title: 'the same number of databases', side: 'both', source: PREPARE },
  judge: (facts) =>
    asked(facts, (service) =>
      told(service.databases, (value) => {
        const there = facts.target.facts.databases;
        const found = `source: ${value}, target: ${there}`;
        if (Number(value) === there || facts.source.clustered) return ok(found);
        return stops(`${found}: both have to be the same`, `Set databases to ${value} in the parameter group of the target`);
      }),
    ),
};

const renamed: Rule = {
  ...{ name: 'renamed', title: 'no renamed commands', side: 'source', source: PREPARE },
  judge: (facts) =>
    asked(facts, (service) =>
      told(service.renamed, (names) =>
        names.length === 0
          ? ok('sync, psync, info, config, command, cluster are there')
          : stops(`there is no ${names.join(', ')} by its name`),
      ),
    ),
};

const ports: Rule = {
  ...{ name: 'ports', title: 'the same port on all nodes of the source', side: 'source', source: PREPARE },
  judge: ({ source }) => {
    const all = [...new Set(source.servers.map(({ name }) => name.slice(name.lastIndexOf(':') + 1)))];
    return all.length <= 1 ? ok(all[0] ?? '') : stops(`the masters have ports ${all.join(', ')}`);
  },
};

const room: Rule = {
  ...{ name: 'room', title: 'memory of the target', side: 'target', source: PREPARE },
  judge: ({ source, target: { facts } }, { bytes }) => {
    const needed = total(source.servers, dataOf);
    if (needed === undefined || !facts.informs) return unknown('could not be checked (INFO is refused)');
    if (facts.masters.some(({ maxMemory }) => maxMemory === 0)) return ok(`${bytes(needed)} of keys; no maxmemory`);
    const most = facts.masters.reduce((sum, { maxMemory }) => sum + maxMemory, 0); // what it has is deleted first
    const found = `${bytes(needed)} of keys, ${bytes(most)} of maxmemory`;
    return needed > most ? stops(found) : ok(found);
  },
};

const load: Rule = {
  ...{ name: 'load', title: 'processor and memory of the source for an RDB', side: 'source', source: PREPARE },
  judge: (facts, words) => {
    const cpu = RULES.find(({ name }) => name === 'cpu');
    const verdicts = cpu === undefined ? [] : [cpu.judge(facts, words)].flat();
    const full = facts.source.servers.find(({ info }) => {
      const [used, all] = [fieldOf(info, 'used_memory_rss'), fieldOf(info, 'total_system_memory')];
      return used !== undefined && all !== undefined && used > all / 2;
    });
    return full === undefined ? verdicts : [warning(`${full.name} uses more than half of the memory of its machine, and has to fork`)];
  },
};

export const SERVICES = {
  'elasticache-online-migration': {
    title: "ElastiCache's online migration",
    rules: [
      ...[selfManaged, sourceVersion, targetVersion, clusterMode, serverless, inTransit, deployment],
      ...[auth, protectedMode, bind, databases, renamed, ports, room, load],
    ],
    instead: {
      'self-managed': 'copies between any two servers that it reaches, on the same terms',
      'source-version': 'writes values in encodings that the target reads',
      'target-version': 'writes for servers from 2.6 on',
      'cluster-mode': 'copies a cluster into one server, one server into a cluster, and clusters of different sizes',
      'node-based': 'speaks TLS and the cluster protocol, which such a cache asks for',
      'in-transit': 'writes by TLS (rediss://)',
      auth: 'logs in to the source (RDBKIT_SOURCE_AUTH, --source-user) and to the target',
      'same-databases': 'needs only the databases that are in use, and maps others (--db-map)',
      renamed: 'takes the other name of PSYNC (--psync-command)',
      ports: 'takes the ports as they are',
      room: 'copies a part of the keys (--prefix, --db, --match)',
    },
  },
} as const satisfies Readonly<Record<string, Service>>;

export type ServiceName = keyof typeof SERVICES;
