import { RdbError } from '../../bytes/errors.js';
import { PAYLOAD_FOOTER, payloadVersion } from '../../rdb/payload.js';
import type { Opened } from '../../redis/connect.js';
import { ConnectionLost } from '../../redis/errors.js';
import { redirection, refusalOf } from '../../redis/refusals.js';
import { parseInfo, type ServerInfo } from '../../redis/server-info.js';
import { TARGETS } from '../../values/targets.js';
import { type Answer, ErrorAnswer, type ReplyLink, textOf } from '../../redis/reply-link.js';
import type { KeyQuestions } from './scan-commands.js';
import { scanOptionsOf } from './scan-filter.js';
import type { NodeScanTarget, ScanSettings } from './scan-terms.js';

/** Databases that are tried where INFO does not list them. */
const MOST_DBS = 1024;

/** A server that is scanned, over one connection: what it tells of itself, and everything that it is asked before its keys. */
export class ScanServer {
  info: Omit<ServerInfo, 'clockAhead'> = parseInfo('');
  questions: KeyQuestions = { expiry: 'PEXPIRETIME', timed: false, object: undefined, asking: false };
  scanOptions: (string | Uint8Array)[] = [];
  /** The database that is selected. */
  db = 0;

  constructor(
    readonly link: ReplyLink,
    readonly opened: Pick<Opened, 'clockAhead' | 'process'>,
    readonly target: NodeScanTarget,
    readonly settings: ScanSettings,
  ) {}

  refused(got: string, cause?: unknown): RdbError {
    return refused(this.target, got, cause);
  }

  /** Counts a key of the selected database that cannot be read, and tells why. */
  problem(key: Uint8Array, reason: string): void {
    this.settings.counts.problems++;
    this.settings.onProblem(this.db, key, reason);
  }

  /** A command outside the scan. Throws what its error means, unless it is the command that is refused: then the error is returned. */
  async ask(...args: string[]): Promise<Answer> {
    const answer = await this.link.ask(...args);
    if (!(answer instanceof ErrorAnswer) || isOfSlot(answer.text)) return answer;
    if (refusalOf(answer.text) === 'later') throw new ConnectionLost(answer.text);
    return answer;
  }

  /** How often SWAPDB ran; undefined if the server does not tell. */
  async swaps(): Promise<number | undefined> {
    const stats = textOf(await this.ask('INFO', 'commandstats'));
    return stats === undefined ? undefined : Number(/^cmdstat_swapdb:calls=(\d+)/m.exec(stats)?.[1] ?? 0);
  }

  /** Learns what it is, and what it may be asked for keys. */
  async introduce(): Promise<void> {
    const { asking = false, readOnly = false } = this.target;
    const { filter, scan } = this.settings;
    const readable = readOnly ? await this.ask('READONLY') : undefined;
    this.info = parseInfo(textOf(await this.ask('INFO')) ?? '');
    if (readable instanceof ErrorAnswer && (await this.isReplica())) {
      throw this.refused(`READONLY: ${readable.text}`); // it would answer MOVED for every key
    }
    await this.ask('CLIENT', 'NO-TOUCH', 'ON'); // since 7.2; without it, DUMP counts as a use of the key
    const exact = isAllowed(await this.ask('PEXPIRETIME', ''));
    const timed = !exact && Array.isArray(await this.ask('TIME'));
    this.questions = {
      expiry: exact ? 'PEXPIRETIME' : 'PTTL',
      timed,
      object: scan.idleTimes === true ? await this.useQuestion() : undefined,
      asking,
    };
    const [major] = this.info.redisVersion.split('.').map(Number);
    this.scanOptions = scanOptionsOf(filter, major >= 6);
  }

  /** By INFO, or by HELLO, to which every user has the right. */
  private async isReplica(): Promise<boolean> {
    if (this.info.role !== '') return this.info.role === 'slave';
    const hello = await this.ask('HELLO');
    return Array.isArray(hello) && hello.some((word: Answer) => textOf(word) === 'replica');
  }

  /** The subcommand of OBJECT that tells when or how often keys were used; undefined, with a note, if it is refused. */
  private async useQuestion(): Promise<KeyQuestions['object']> {
    const name = this.info.maxMemoryPolicy.includes('lfu') ? 'FREQ' : 'IDLETIME';
    const answer = await this.ask('OBJECT', name, '');
    if (isAllowed(answer)) return name;
    const reason = answer instanceof ErrorAnswer ? answer.text : '';
    this.settings.onNote(`${name === 'FREQ' ? 'frequencies' : 'idle times'} are not read: OBJECT ${name}: ${reason}`);
    return undefined;
  }

  /** Unix milliseconds by its clock. */
  now(): number {
    return Date.now() + (this.opened.clockAhead ?? 0);
  }

  /** Writes the header of the RDB, unless it is there. `version`: of the first payload, or what its release is known to write. */
  beginOutput(version = releaseVersion(this.info)): void {
    this.settings.output.begin(version, this.info, this.now());
  }

  /** What FUNCTION DUMP gives is what stands in an RDB, and a footer. */
  async writeFunctions(): Promise<void> {
    const { functions, onNote, output } = this.settings;
    if (!functions || output.version > 0) return;
    const answer = await this.ask('FUNCTION', 'DUMP');
    if (answer instanceof Uint8Array && answer.length >= PAYLOAD_FOOTER) {
      this.beginOutput(payloadVersion(answer).version);
      await output.pipe.put(answer, 0, answer.length - PAYLOAD_FOOTER);
      return;
    }
    const reason = answer instanceof ErrorAnswer ? answer.text : 'an answer that is no payload';
    const major = Number(this.info.redisVersion.split('.')[0]);
    if (this.info.redisVersion === '' || major >= 7) {
      onNote(`its function libraries are not read: FUNCTION DUMP: ${reason}`);
    }
  }

  /** The databases that have keys, in order. */
  async databases(): Promise<number[]> {
    const { db: chosen = [] } = this.settings.filter;
    const isWanted = (db: number): boolean => chosen.length === 0 || chosen.includes(db);
    if (this.info.redisVersion === '') return chosen.length > 0 ? [...chosen].sort((a, b) => a - b) : this.triedDatabases();
    return [...this.info.keys.keys()].filter(isWanted).sort((a, b) => a - b);
  }

  /** Where INFO is refused: those that can be selected, unless they say that they are empty, and the first one without the right to. */
  private async triedDatabases(): Promise<number[]> {
    const found: number[] = [];
    for (let db = 0; db < MOST_DBS; db++) {
      const answer = await this.ask('SELECT', String(db));
      if (answer instanceof ErrorAnswer) {
        const hasOne = this.target.slots !== undefined && db === 0; // as clusters do, before Valkey 9
        if (answer.text.startsWith('NOPERM') && !hasOne) return db === 0 ? [0, 1] : [...found, db];
        if (answer.text.startsWith('NOPERM')) this.settings.onNote(`only database 0 is read: SELECT: ${answer.text}`);
        return db === 0 ? [0] : found;
      }
      if ((await this.ask('DBSIZE')) !== 0) found.push(db);
    }
    throw this.refused(`it has more than ${MOST_DBS} databases and refuses INFO, which tells those that have keys: choose them with --db`);
  }

  /** A proxy or a cluster that has only database 0 may refuse SELECT. */
  async select(db: number): Promise<void> {
    this.db = db;
    const answer = await this.ask('SELECT', String(db));
    if (answer instanceof ErrorAnswer && db !== 0) throw this.refused(`SELECT ${db}: ${answer.text}`);
  }
}

/** The error that ends a scan where trying again does not help. */
export const refused = ({ name }: NodeScanTarget, got: string, cause?: unknown): RdbError =>
  new RdbError('SOURCE_REFUSED', { file: name, got, cause });

/** Whether an error is about this key alone, and not about the command. */
export const isOfKey = (text: string): boolean => /^NOPERM .*\b(?:access|keys?)\b/i.test(text) || /^OOM\b/.test(text);

/** Whether an error says that no node owns the slot of the key (redis cluster.c, CLUSTER_REDIR_DOWN_UNBOUND). */
const isOfSlot = (text: string): boolean => text.startsWith('CLUSTERDOWN Hash slot not served');

/** Whether a command is known and may be run. Keys of other slots, or that may not be read, do not matter. */
const isAllowed = (answer: Answer): boolean =>
  !(answer instanceof ErrorAnswer) || isOfKey(answer.text) || isOfSlot(answer.text) || redirection(answer.text) !== undefined;

/** An RDB without values is read by all servers with this version. */
const OLDEST_COMMON = 9;

/** What a server of this release writes, as far as that is known; else what the latest one does. */
function releaseVersion({ make, redisVersion, version }: Omit<ServerInfo, 'clockAhead'>): number {
  const vendor = make === 'valkey' ? 'valkey' : 'redis';
  const [major, minor] = (vendor === 'valkey' ? version : redisVersion).split('.');
  const own = TARGETS.filter((target) => target.vendor === vendor);
  return own.find(({ release }) => release === `${major}.${minor}`)?.rdbVersion ?? OLDEST_COMMON;
}
